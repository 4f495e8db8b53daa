/*
 * tty.h - terminals by descriptor, never by name.
 *
 * Uses: libc; ioctl_tty(2), pty(7).
 */
#ifndef LIB_LINUX_TTY_H
#define LIB_LINUX_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

enum tty_kind {
	TTY_NONE,  /* no terminal, or the master of one, or /dev/tty, which is any terminal */
	TTY_PTS,   /* the user's end of a pseudo-terminal */
	TTY_OTHER, /* a console, a serial line */
};

enum tty_kind tty_kind_of(int fd);

/* The first of 0 to 2 that is a terminal, or -1. The descriptor stays where it is. */
int tty_find_stdio(void);

/* The same among all low descriptors, each terminal once; returns how many of `room`. */
size_t tty_find_all(int *out, size_t room);

/*
 * A name directly below /dev under which the terminal can be seen elsewhere: a console
 * keeps its own, /dev/pts/5 becomes "pts5", which ps(1) tries as well. Needs /proc. False when
 * it has none.
 */
bool tty_name(int fd, char *out, size_t size);

/* Sends every byte as it is typed, and shows none by itself (cfmakeraw(3)); `was` gets what
 * has to be put back. False, with nothing changed, when the terminal does not answer. */
bool tty_make_raw(int fd, struct termios *was);

/* Puts back what tty_make_raw() changed; input that waits stays. */
void tty_restore(int fd, const struct termios *was);

/* Gives terminal `to` the window size of `from`. */
void tty_copy_size(int from, int to);

#endif
