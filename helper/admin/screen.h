/*
 * screen.h - what the command shows to somebody who looks at a terminal, and to nobody else:
 * colours, and what it is busy with.
 *
 * Uses: libc.
 */
#ifndef HELPER_ADMIN_SCREEN_H
#define HELPER_ADMIN_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum screen_colour { SCREEN_PLAIN, SCREEN_RED, SCREEN_YELLOW, SCREEN_GREEN };

/* The bytes that begin a colour on stdout: "" where it is no terminal, or NO_COLOR is set. */
const char *screen_colour(enum screen_colour colour);

/* A name for a column of a table, in `out`: what is longer than `width` bytes is cut and
 * ends in a `+`. */
const char *screen_fit(char *out, size_t size, const char *name, size_t width);

/*
 * Says on stderr, where that is a terminal, what takes its time; the next call or
 * screen_ready() wipes it out.
 */
void screen_busy(const char *format, ...) __attribute__((format(printf, 1, 2)));
void screen_ready(void);

#endif
