/*
 * logs_summary.h - log lines known, and counted: who got what, or in mode monitor would have got.
 *
 * Uses: libc.
 */
#ifndef HELPER_ADMIN_LOGS_SUMMARY_H
#define HELPER_ADMIN_LOGS_SUMMARY_H

#include <stdbool.h>

/*
 * What a line says that module, helper or keeper wrote; NULL: somebody else did. Root's programs
 * may log a name or a message that a user chose, and that looks like a line of ours; but what
 * they add themselves is before it or behind it.
 */
const char *logs_words(const char *line);

/* Counts a line of the module's or the shell door's that has a result; false for any other.
 * Owned by the summary until logs_summary_print(), which also empties it. */
struct logs_summary {
	struct logs_row *rows;
	unsigned n;
};
bool logs_summary_add(struct logs_summary *all, const char *line);

/* A table that fits 80 columns, most frequent first. */
void logs_summary_print(struct logs_summary *all);

#endif
