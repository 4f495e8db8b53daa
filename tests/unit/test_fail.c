#include "lib/base/fail.h"
#include "tests/unit/test.h"

#include <errno.h>

static char words[700];

static void the_first_failure_wins(void)
{
	struct fail f = FAIL_BY("inside");

	CHECK(!fail_is_set(&f));
	CHECK_NUMBER(fail_err(&f, EPERM, "mount proc on", "/proc"), -1);
	CHECK_NUMBER(fail_say(&f, FAIL_POLICY, "clean up", "x", "never seen"), -1);
	CHECK_TEXT(fail_word(&f, words, sizeof(words)),
		"inside: cannot mount proc on '/proc': Operation not permitted");
}

static void a_wrong_policy_is_worded_with_its_line(void)
{
	struct fail f = { 0 };

	fail_say(&f, FAIL_POLICY, "read the policy", "/etc/x.conf:12", "'%s' is no key", "halp");
	CHECK_TEXT(fail_word(&f, words, sizeof(words)), "/etc/x.conf:12: 'halp' is no key");
}

static void a_failure_says_nothing_that_moves_the_cursor(void)
{
	struct fail f = { 0 };

	fail_say(&f, FAIL_REFUSED, "open", "/home/\x1b[2J", "no");
	CHECK_TEXT(fail_word(&f, words, sizeof(words)), "cannot open '/home/?[2J': no");
}

static void a_failure_of_any_length_fits(void)
{
	struct fail f = { 0 };
	char much[2000], small[20];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	fail_say(&f, FAIL_REFUSED, much, much, "%s", much);
	CHECK(strlen(fail_word(&f, small, sizeof(small))) == sizeof(small) - 1);
	CHECK(strlen(f.subject) == sizeof(f.subject) - 1);
}

static void errno_stays_what_it_was(void)
{
	struct fail f = { 0 };

	errno = ENOSPC;
	fail_sys(&f, "write", "x");
	CHECK_NUMBER(errno, ENOSPC);
	CHECK_NUMBER(f.err, ENOSPC);
	CHECK_NUMBER(f.kind, FAIL_SYSTEM);
}

int main(void)
{
	RUN(the_first_failure_wins);
	RUN(a_wrong_policy_is_worded_with_its_line);
	RUN(a_failure_says_nothing_that_moves_the_cursor);
	RUN(a_failure_of_any_length_fits);
	RUN(errno_stays_what_it_was);
	return test_end();
}
