/*
 * journal.h - a message with fields for systemd's journal, by its native protocol: one
 * datagram of lines KEY=value, written by hand so that nothing is linked for it.
 *
 * Uses: lib/base; systemd.journal-fields(7), unix(7), https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
 */
#ifndef LIB_LINUX_JOURNAL_H
#define LIB_LINUX_JOURNAL_H

#include "lib/base/text.h"

/* A socket connected to the journal, the caller's; -1: this host has none. Never blocks. */
int journal_open(void);

/* Adds one field. `key` is of A-Z 0-9 _; the value has no line end: see text_clean(). */
void journal_add(struct text *entry, const char *key, const char *value);

/*
 * Adds a field PREFIX + KEY for every word key=value of `line`, its key in capitals. A value
 * in quotes goes to the last quote of the line. Words of another form are left out.
 */
void journal_add_words(struct text *entry, const char *prefix, const char *line);

/* Hands the entry over whole; -1, and errno, when it was cut or the journal did not take it. */
int journal_send(int fd, const struct text *entry);

#endif
