/*
 * mount_value.h - what bind.LABEL, tmpfs.LABEL and home_options hold.
 *
 * Paths may have tokens; they are expanded by the plan, each by itself.
 *
 * Uses: helper/policy/word.
 */
#ifndef HELPER_POLICY_MOUNT_VALUE_H
#define HELPER_POLICY_MOUNT_VALUE_H

#include "helper/policy/word.h"

#include <sys/types.h>

struct mount_value {
	char source[WORD_PATH_MAX + 8], target[WORD_PATH_MAX + 8];
	uint64_t attr; /* MOUNT_ATTR_* that the options name */
	bool writable; /* `rw` stands there */
	bool optional; /* nothing is done where there is no source */
	uint64_t size; /* tmpfs: bytes, or percent of memory; 0: none was given */
	bool percent;
	mode_t mode; /* tmpfs: 0 for that of the covered directory */
	bool copy_up; /* tmpfs: what is covered is seen in it */
};

/* `source:target[:options]`. False with one clause in `why`. */
bool mount_value_bind(struct mount_value *out, const char *text, char *why, size_t size);

/* `target[:options]`. */
bool mount_value_tmpfs(struct mount_value *out, const char *text, char *why, size_t size);

/* A list of ro, noexec, nosuid, nodev. */
bool mount_value_options(uint64_t *attr, const char *text, char *why, size_t size);

#endif
