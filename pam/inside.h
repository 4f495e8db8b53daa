/*
 * inside.h - whether this process is in a box already, and whose.
 *
 * Known by a marker that no tenant can make or remove, never by the environment, and not by
 * comparing namespaces: the host may be a container itself.
 *
 * Uses: lib/base.
 */
#ifndef PAM_INSIDE_H
#define PAM_INSIDE_H

#include "lib/base/fail.h"

#include <stdbool.h>
#include <sys/types.h>

struct inside {
	uid_t uid;
	bool stays; /* another user's session may stay in this box */
};

/* 1 inside a box, 0 outside, -1 could not find out. */
int inside_box(struct inside *out, struct fail *f);

/* Whether root's break-glass file is there: then nobody is boxed. */
bool inside_is_off(void);

#endif
