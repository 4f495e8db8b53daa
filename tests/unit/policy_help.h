/*
 * policy_help.h - policies from texts and files, for the tests of policy and plan.
 */
#ifndef TESTS_UNIT_POLICY_HELP_H
#define TESTS_UNIT_POLICY_HELP_H

#include "helper/policy/policy.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <fcntl.h>

/* The policy of one text, called FILE in messages; NULL with its message in `words`. */
__attribute__((unused)) static struct policy *policy_of_fd(int fd, char *words, size_t size)
{
	struct config config = { 0 };
	struct policy *policy = NULL;
	struct fail f = { 0 };

	words[0] = '\0';
	if (config_add(&config, fd, "FILE", true, &f) < 0 || policy_make(&policy, &config, &f) < 0)
		fail_word(&f, words, size);
	config_free(&config);
	return policy;
}

__attribute__((unused)) static struct policy *policy_of_text(const char *text)
{
	char words[700];
	OWN_FD fd = test_text(text);
	struct policy *policy = policy_of_fd(fd, words, sizeof(words));

	if (!policy)
		test_fail(__FILE__, __LINE__, "%s", words);
	return policy;
}

#endif
