/*
 * config.h - the text of the policy: which files, in which order, and that only root can
 * have written them.
 *
 * A config owns its texts and lives until config_free(); policy copies what it needs.
 *
 * Uses: lib/base/ini, lib/linux/path.
 */
#ifndef HELPER_POLICY_CONFIG_H
#define HELPER_POLICY_CONFIG_H

#include "lib/base/fail.h"
#include "lib/base/ini.h"

#include <stdbool.h>

/* FILE:LINE fits whole into every message and into the plan. */
#define CONFIG_NAME_MAX 240

struct config_file {
	char *name; /* as messages show it */
	bool main;  /* loginbox.conf: read last, its rules are tried first */
	struct ini ini;
};

struct config {
	struct config_file *files; /* in the order in which they are read */
	size_t n_files;
};

/*
 * Reads vendor_dir/loginbox.d (NULL: none), conf_dir/loginbox.d and conf_dir/loginbox.conf.
 * What does not exist is empty. A file that others than root can have written, and a
 * syntax error, is FAIL_POLICY.
 */
int config_load(struct config *out, const char *conf_dir, const char *vendor_dir, struct fail *f);

/* Appends one file from a descriptor that the caller answers for. */
int config_add(struct config *config, int fd, const char *name, bool main, struct fail *f);

void config_free(struct config *config);

#endif
