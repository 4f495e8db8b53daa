/*
 * ways.h - the known ways out of a box, each tried from where the caller is and harmless
 * where it works. `loginbox selftest USER` runs them inside a box; the attack tests run the
 * same table outside of one, which shows that each is a way.
 *
 * Uses: libc, the kernel.
 */
#ifndef HELPER_ADMIN_WAYS_H
#define HELPER_ADMIN_WAYS_H

#include "helper/policy/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What the administrator's side keeps ready on the host, to be reached or not. */
struct ways_bait {
	pid_t pid;         /* a process of the same user */
	unsigned port;     /* a listener on 127.0.0.1 */
	int shm_key;       /* a System V segment that everybody may use */
	char socket[40];   /* the name of a listening abstract socket, without its NUL */
	char tmp[64];      /* a file in /tmp */
	char home[256];    /* somebody else's home, "" for none */
};

enum way_answer { WAY_HELD, WAY_OPEN, WAY_CANNOT_TELL };

struct way {
	const char *name; /* in words joined by - */
	const char *what; /* what is tried */
	enum key_id key;  /* the key of the policy that decides it ... */
	const char *strict; /* ... and the values with which the way is closed, "a, b" */
	/* One clause in `why` when it is open or cannot be told. */
	enum way_answer (*go)(const struct ways_bait *bait, char *why, size_t size);
};

extern const struct way ways[];
extern const size_t n_ways;

/* Tries all, a line each on stdout: "held NAME", "open NAME: why", "unsure NAME: why". */
void ways_run(const struct ways_bait *bait);

/* The bait as one word of a command line, and back. */
void ways_bait_text(const struct ways_bait *bait, char *out, size_t size);
bool ways_bait_read(struct ways_bait *out, const char *text);

#endif
