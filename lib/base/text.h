/*
 * text.h - bounded text in a buffer of the caller's, and strict reading of numbers.
 *
 * Uses: libc.
 */
#ifndef LIB_BASE_TEXT_H
#define LIB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that grows in a buffer and never beyond it; `cut` says that something was lost. */
struct text {
	char *at;
	size_t size, len;
	bool cut;
};

/* Starts an empty text in `buffer` of `size` bytes (size > 0). */
struct text text_in(char *buffer, size_t size);

/* Appends (printf format); what does not fit is cut and `cut` is set. */
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Replaces every control byte (below 32, and 127 to 159) by '?', in place. */
void text_clean(char *s);

/*
 * Copies `from` with its end into `to`. False, with `to` empty, when it does not fit:
 * a name that was cut would be another name.
 */
bool text_copy(char *to, size_t size, const char *from);

/* Reads decimal digits only, no sign, no space, no sequel; false beyond `max`. */
bool text_to_u64(const char *s, uint64_t max, uint64_t *out);

/*
 * Reads digits as text_to_u64() and then one letter out of `units`, or none: its place there
 * goes to *unit, -1 for none. False for anything else.
 */
bool text_to_u64_unit(const char *s, const char *units, uint64_t max, uint64_t *out, int *unit);

/* Whether `s` starts with `start`. */
bool text_starts(const char *s, const char *start);

#endif
