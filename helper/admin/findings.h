/*
 * findings.h - what doctor has found: how bad, what, and what to do about it.
 *
 * Owns its texts; lives until findings_free().
 *
 * Uses: libc.
 */
#ifndef HELPER_ADMIN_FINDINGS_H
#define HELPER_ADMIN_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

enum severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };

struct finding {
	enum severity severity;
	char *subject; /* a file and line, a service, a feature */
	char *what;
	char *todo;
};

struct findings {
	struct finding *at;
	size_t n;
	bool lost; /* memory was short: what is listed is not all */
};

/* Adds one; `format` words what was found. */
void findings_add(struct findings *all, enum severity severity, const char *subject,
	const char *todo, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Prints them, as text or as JSON (an array of severity, subject, what, todo). Returns the
 * exit status that they mean: 0 well or notes, 1 warnings, 2 errors. */
int findings_print(const struct findings *all, bool json);

/* The same without printing: the exit status that they mean. */
int findings_worst(const struct findings *all);

void findings_free(struct findings *all);

#endif
