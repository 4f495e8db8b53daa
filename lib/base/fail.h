/*
 * fail.h - what went wrong, as plain data: the process, the step, the subject,
 * the reason. The first cause wins; one place words it.
 *
 * Every function that can fail returns 0 or -1 and takes `struct fail *f` last.
 * Nothing here allocates, and there is no pointer inside, so that a fail can be
 * sent from one process to another in one write.
 *
 * Uses: libc.
 */
#ifndef LIB_BASE_FAIL_H
#define LIB_BASE_FAIL_H

#include <stdbool.h>
#include <stddef.h>

enum fail_kind {
	FAIL_NONE,    /* nothing failed */
	FAIL_SYSTEM,  /* the system failed: err says why */
	FAIL_REFUSED, /* the policy or a rule of ours says no */
	FAIL_POLICY,  /* the policy itself is wrong: subject is FILE:LINE */
	FAIL_USAGE,   /* the caller asked for something that does not exist */
	FAIL_UNKNOWN, /* the user is not known to this host */
};

struct fail {
	int kind;          /* enum fail_kind */
	int err;           /* errno, 0 where `rule` says it all */
	char who[12];      /* the process that met it: module, helper, keeper, inside, shell */
	char step[48];     /* what was being done, leading up to the subject: "mount proc on" */
	char subject[256]; /* to what: a path, a link, a user, FILE:LINE */
	char rule[256];    /* the rule or the remedy, where errno says too little */
};

#define FAIL_BY(process) ((struct fail){ .who = process })

/* Whether something failed. */
static inline bool fail_is_set(const struct fail *f)
{
	return f->kind != FAIL_NONE;
}

/*
 * Records that `step` on `subject` failed for the reason in errno. A fail that is
 * set already stays. Returns -1 always, with errno kept.
 */
int fail_sys(struct fail *f, const char *step, const char *subject);

/* The same with an error number of the caller's (a positive errno). */
int fail_err(struct fail *f, int err, const char *step, const char *subject);

/* Records a failure that has a reason in words (printf format). Returns -1 always. */
int fail_say(struct fail *f, enum fail_kind kind, const char *step, const char *subject,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds to what failed where it was asked for (FILE:LINE); NULL is nothing to add. -1 always. */
int fail_add_place(struct fail *f, const char *at);

/*
 * Words it in one line without an end of line, cut to `size`:
 *	inside: cannot mount proc on '/proc': Operation not permitted
 * where the step is "mount proc on": it leads up to its subject
 *	/etc/security/loginbox.conf:12: 'halp' is no key of [box]
 * Control bytes are shown as '?'. Returns `out`.
 */
char *fail_word(const struct fail *f, char *out, size_t size);

#endif
