#include "helper/policy/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int labels_add(struct settings *to, const struct setting *s, struct fail *f)
{
	for (size_t i = 0; i < to->n_labelled; i++)
		if (to->labelled[i]->key == s->key && strcmp(to->labelled[i]->label, s->label) == 0) {
			to->labelled[i] = s;
			return 0;
		}
	const struct setting **more = reallocarray(to->labelled, to->n_labelled + 1, sizeof(*more));
	if (!more)
		return fail_err(f, ENOMEM, "read the policy", s->key->name);
	to->labelled = more;
	to->labelled[to->n_labelled++] = s;
	return 0;
}

static int add_all(struct settings *to, const struct settings *from, struct fail *f)
{
	for (size_t i = 0; i < from->n_labelled; i++)
		if (labels_add(to, from->labelled[i], f) < 0)
			return -1;
	return 0;
}

int labels_resolve(struct settings *all, const struct settings *own, const struct settings *parent,
	struct fail *f)
{
	size_t kept = 0;

	if (parent && add_all(all, parent, f) < 0)
		return -1;
	if (add_all(all, own, f) < 0)
		return -1;
	for (size_t i = 0; i < all->n_labelled; i++)
		if (!all->labelled[i]->value.none)
			all->labelled[kept++] = all->labelled[i];
	all->n_labelled = kept;
	return 0;
}

const struct setting *labels_next(const struct settings *settings, enum key_id key, size_t *at)
{
	while (*at < settings->n_labelled) {
		const struct setting *s = settings->labelled[(*at)++];
		if (key_id(s->key) == key)
			return s;
	}
	return NULL;
}
