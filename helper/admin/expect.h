/*
 * expect.h - what a policy promises, as commands and their results: files NAME.expect beside
 * the policy's files, with lines
 *	USER | COMMAND | exit N | stdout REGEX
 * of which the last field may be missing. Each command runs by sh -c as that user, in a box
 * that is made for it and goes with it.
 *
 * Uses: helper/admin/{capture,findings}, lib/linux/path, regex(3).
 */
#ifndef HELPER_ADMIN_EXPECT_H
#define HELPER_ADMIN_EXPECT_H

#include "helper/admin/findings.h"
#include "helper/policy/policy.h"
#include "lib/base/fail.h"

struct expect_line {
	char user[64], command[1024], regex[512];
	int exit;
	bool has_regex;
};

/* Reads one line; false with one clause in `why`. Pure. */
bool expect_read(struct expect_line *out, const char *line, char *why, size_t size);

/*
 * Runs all expectations below `conf_dir` (NULL: the installed policy's). What does not hold,
 * and a line that is wrong, is a finding; `*n` counts the lines that were run.
 */
int expect_run(const struct policy *policy, const char *conf_dir, struct findings *out,
	unsigned *n, struct fail *f);

#endif
