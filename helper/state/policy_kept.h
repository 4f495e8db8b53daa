/*
 * policy_kept.h - the policy's text as it was found right, kept for the next login.
 *
 * Reading a policy means walking to each file, copying it, and reading it twice (lib/base/ini.h).
 * As long as nothing on the way has changed, nor this program, the result is the same: `policy`
 * in the state directory holds it, with what stat(2) said of every file and directory it was
 * read from. Only names, lines and values are kept: what they mean is decided at each login.
 *
 * Another file, mode, owner, size or time of one of them, or anything that is odd about the
 * kept file itself, means that the policy is read as if nothing were kept.
 *
 * Uses: helper/policy/config, helper/policy/policy; stat(2), inode(7).
 */
#ifndef HELPER_STATE_POLICY_KEPT_H
#define HELPER_STATE_POLICY_KEPT_H

#include "helper/policy/config.h"
#include "helper/policy/policy.h"
#include "lib/base/fail.h"

#include <stdbool.h>
#include <stdint.h>

/* policy_load() of the installed policy, by what is kept where it still holds. Keeps what it
 * has read itself; that this cannot be done is no failure. */
int policy_kept_load(struct policy **out, struct fail *f);

/* What is kept, from bytes: true and the caller's to free when they are whole and each of the
 * places that they name looks as they say. `bytes` is changed. */
bool policy_kept_read(struct config *out, char *bytes, size_t size);

/*
 * Writes what is kept of a policy that was read from these directories into a new string, the
 * caller's. NULL when it cannot be: out of memory, or something that was read has changed in
 * the seconds before `now_s` (CLOCK_REALTIME), too short for its time to tell another change.
 */
char *policy_kept_write(const struct config *config, const char *const dirs[], size_t n_dirs,
	int64_t now_s, size_t *size);

#endif
