/*
 * caps.h - the capability bounding set, securebits and no_new_privs: given up, read back.
 * Names of capabilities belong to libcap and are resolved when the policy is read.
 *
 * Uses: lib/base; prctl(2), capabilities(7).
 */
#ifndef LIB_LINUX_CAPS_H
#define LIB_LINUX_CAPS_H

#include "lib/base/fail.h"

#include <stddef.h>
#include <stdint.h>

#define CAPS_NAMES_MAX 224 /* room for all that caps_names() names */
#define CAPS_BIT(cap) ((uint64_t)1 << (cap))

/*
 * Drops every capability but those in `keep` (bit by number) from the bounding set, up to
 * the last one that the kernel knows, and from the inheritable set, and empties the ambient
 * set; then reads all back: the bounding set from /proc/self/status, or bit by bit where
 * that cannot be read.
 */
int caps_bound(uint64_t keep, struct fail *f);

/*
 * The same for a process whose own /proc/self is out of reach (inside another pid
 * namespace): `status` is its /proc/self/status, opened before, -1 for none.
 */
int caps_bound_by(uint64_t keep, int status, struct fail *f);

/* Sets no_new_privs and reads it back. */
int caps_no_new_privs(struct fail *f);

/* Effective, permitted and inheritable set of the caller become `keep` (capset(2)), read back. */
int caps_set(uint64_t keep, struct fail *f);

/* The same with none. */
int caps_clear(struct fail *f);

/* Empties the inheritable set alone: what a root process keeps for itself it keeps. */
int caps_no_inheritable(struct fail *f);

/* The next change from root to a user keeps the permitted set: only for caps_raise(). */
int caps_keep(struct fail *f);

/* After such a change: all sets become `ambient`, the ambient one too; read back. */
int caps_raise(uint64_t ambient, struct fail *f);

/*
 * From now on uid 0 gives no capability at an exec, and nobody can undo that (securebits
 * NOROOT, locked). The change of uids still clears capabilities: sshd dies without. Needs
 * CAP_SETPCAP.
 */
int caps_lock_root(struct fail *f);

/* The permitted set of the caller, bit by number; where it cannot be read, all: nothing that
 * is known to lack. */
uint64_t caps_permitted(void);

/*
 * Writes the names of these capabilities, ", " between them, cut to `size`; one without a name
 * here, which no box takes, is left out. Returns `out`.
 */
char *caps_names(uint64_t set, char *out, size_t size);

/*
 * Adds to a failure for want of rights (EPERM, EACCES) what a root process lacks of the
 * capabilities that boxes take: its bounding set may have been narrowed before it began.
 */
void caps_add_lacking(struct fail *f);

#endif
