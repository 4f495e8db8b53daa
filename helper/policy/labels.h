/*
 * labels.h - keys of which a section may hold many, told apart by a label: bind.LABEL and
 * the like. Their order is the order of action: a parent's come first, and a child's
 * setting of the same key and label takes the place of the parent's; `none` drops it.
 *
 * Uses: helper/policy/policy.
 */
#ifndef HELPER_POLICY_LABELS_H
#define HELPER_POLICY_LABELS_H

#include "helper/policy/policy.h"

/* Appends a setting with a label to its section, or puts it in the place of its like. */
int labels_add(struct settings *to, const struct setting *s, struct fail *f);

/* Fills `all` (whose list is empty): what the parent has (NULL: nothing), then `own`. */
int labels_resolve(struct settings *all, const struct settings *own, const struct settings *parent,
	struct fail *f);

/*
 * The next setting of `key` at or after place *at of the list, NULL after the last; *at is
 * then behind it. Begin with 0.
 */
const struct setting *labels_next(const struct settings *settings, enum key_id key, size_t *at);

#endif
