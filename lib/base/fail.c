#include "lib/base/fail.h"

#include "lib/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from ? from : "", size - 1);
	memcpy(to, from ? from : "", n);
	to[n] = '\0';
}

int fail_err(struct fail *f, int err, const char *step, const char *subject)
{
	if (fail_is_set(f))
		return -1;
	f->kind = FAIL_SYSTEM;
	f->err = err;
	copy(f->step, sizeof(f->step), step);
	copy(f->subject, sizeof(f->subject), subject);
	return -1;
}

int fail_sys(struct fail *f, const char *step, const char *subject)
{
	return fail_err(f, errno, step, subject);
}

int fail_say(struct fail *f, enum fail_kind kind, const char *step, const char *subject,
	const char *format, ...)
{
	if (fail_is_set(f))
		return -1;
	f->kind = kind;
	f->err = 0;
	copy(f->step, sizeof(f->step), step);
	copy(f->subject, sizeof(f->subject), subject);

	va_list args;
	va_start(args, format);
	vsnprintf(f->rule, sizeof(f->rule), format, args);
	va_end(args);
	return -1;
}

int fail_add_place(struct fail *f, const char *at)
{
	struct text t = text_in(f->rule + strnlen(f->rule, sizeof(f->rule)),
		sizeof(f->rule) - strnlen(f->rule, sizeof(f->rule)));

	/* A failure of the policy's names its place first. */
	if (at && fail_is_set(f) && f->kind != FAIL_POLICY)
		text_add(&t, f->rule[0] ? ", %s" : "%s", at);
	return -1;
}

char *fail_word(const struct fail *f, char *out, size_t size)
{
	struct text t = text_in(out, size);
	const char *reason = f->err ? strerror(f->err) : f->rule;

	if (f->kind == FAIL_NONE) {
		text_add(&t, "nothing failed");
	} else if (f->kind == FAIL_POLICY) {
		text_add(&t, "%s: %s", f->subject, reason);
	} else {
		if (f->who[0])
			text_add(&t, "%s: ", f->who);
		text_add(&t, "cannot %s", f->step);
		if (f->subject[0])
			text_add(&t, " '%s'", f->subject);
		text_add(&t, ": %s", reason);
	}
	if (f->err && f->rule[0])
		text_add(&t, " (%s)", f->rule);
	text_clean(out);
	return out;
}
