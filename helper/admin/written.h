/*
 * written.h - how much lies in the layers of a box that keeps what its user writes.
 *
 * The files are the tenant's: they are walked by descriptor, no link is followed, no mount
 * entered, and after a bound the answer is "more than".
 *
 * Uses: helper/build/written for the line's form, lib/linux/path; openat2(2).
 */
#ifndef HELPER_ADMIN_WRITTEN_H
#define HELPER_ADMIN_WRITTEN_H

#include "lib/wire/wire.h"

/* Adds a line to what the keeper told, where it told of a directory and the caller is root. */
void written_count(struct wire_state *box);

#endif
