/*
 * expand.h - tokens: %u user, %U uid, %g primary group, %G gid, %h home, %H short host
 * name, %% percent.
 *
 * Uses: lib/linux/account.
 */
#ifndef HELPER_POLICY_EXPAND_H
#define HELPER_POLICY_EXPAND_H

#include "helper/policy/policy.h"
#include "lib/linux/account.h"

/*
 * The account's home as a plain absolute path: passwd(5) may have slashes too many. "/"
 * where it is none, which is where sshd and login start then.
 */
void expand_home(const struct account *account, char *out, size_t size);

/*
 * Expands a setting's text for the account. What does not fit, or has no value (%g of a
 * group without a name), is FAIL_REFUSED with the setting's FILE:LINE.
 */
int expand_setting(const struct setting *s, const struct account *account, char *out, size_t size,
	struct fail *f);

/* The same for a part of the setting's text. */
int expand_text(const struct setting *s, const char *text, const struct account *account, char *out,
	size_t size, struct fail *f);
int expand_path_text(const struct setting *s, const char *text, const struct account *account,
	char *out, size_t size, struct fail *f);

/* The same, and the result must be a plain absolute path. */
int expand_path(const struct setting *s, const struct account *account, char *out, size_t size,
	struct fail *f);

/* The same, and the result must be a host name of at most 64 bytes. */
int expand_host(const struct setting *s, const struct account *account, char *out, size_t size,
	struct fail *f);

#endif
