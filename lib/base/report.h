/*
 * report.h - a list of sentences, kept until somebody prints them.
 *
 * Owns its lines; lives until report_free().
 *
 * Uses: libc.
 */
#ifndef LIB_BASE_REPORT_H
#define LIB_BASE_REPORT_H

#include <stddef.h>

struct report {
	char **lines;
	size_t n;
};

/* Adds one line (printf format), control bytes shown as '?'. Returns -1 out of memory. */
int report_add(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void report_free(struct report *report);

#endif
