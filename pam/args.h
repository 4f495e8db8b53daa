/*
 * args.h - the words behind pam_loginbox.so in /etc/pam.d.
 *
 * Uses: libc.
 */
#ifndef PAM_ARGS_H
#define PAM_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum args_line {
	LINE_BOTH,  /* no word: opens and closes */
	LINE_OPEN,  /* `open`, the last line of the stack */
	LINE_CLOSE, /* `close`, the first */
};

struct args {
	enum args_line line;
	bool debug;
	bool tty_pts; /* tty_pts=allow: login(1) on a pseudo-terminal of the host */
	uint32_t deadline_ms;
	const char *conf; /* conf=DIR, "" for the compiled-in one; borrowed from argv */
	const char *wrong; /* the first word that is none of ours, or NULL */
};

/* Reads all words; the same at open and at close. */
void args_read(struct args *out, int argc, const char **argv);

#endif
