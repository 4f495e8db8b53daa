#include "lib/linux/seccomp_make.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char words[700];

/* "" or what is wrong with it. */
static const char *judge(const char *text, bool gains)
{
	const struct seccomp_profile profile = { text, "P", gains };
	struct fail f = { 0 };

	words[0] = '\0';
	if (seccomp_compile_profile(&profile, NULL, 0, NULL, &f) < 0)
		fail_word(&f, words, sizeof(words));
	return words;
}

/* The error number that the call gets under the profile, in a child; -1: none could be made. */
static int answer(const char *text, bool gains, long number)
{
	const struct seccomp_profile profile = { text, "P", gains };
	static struct sock_filter code[SECCOMP_MOST];
	struct fail f = { 0 };
	size_t n = 0;
	int status = -1;

	if (seccomp_compile_profile(&profile, code, SECCOMP_MOST, &n, &f) < 0)
		return -1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		const struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
			_exit(255);
		_exit(syscall(number, -1, -1, -1) < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#define NARROW "default EPERM\nallow read, write\n"

static void what_gives_root_up_is_allowed_where_programs_gain_it(void)
{
	CHECK_NUMBER(answer(NARROW, true, SYS_setresuid), 0);
	CHECK_NUMBER(answer(NARROW, true, SYS_setresgid), 0);
	CHECK_NUMBER(answer(NARROW, true, SYS_setreuid), 0);
	CHECK_NUMBER(answer(NARROW, false, SYS_setresuid), EPERM);
	CHECK_NUMBER(answer(NARROW, false, SYS_setreuid), EPERM);
	/* And nothing more than that. */
	CHECK_NUMBER(answer(NARROW, true, SYS_getppid), EPERM);
}

static void denying_it_is_wrong_there_and_nowhere_else(void)
{
	CHECK_TEXT(judge("default allow\nEPERM setuid\n", true),
		"P:2: 'setuid' is how a program gives up root, and no_new_privs is no");
	CHECK_TEXT(judge("default allow\nENOSYS acct setgroups32\n", true),
		"P:2: 'setgroups32' is how a program gives up root, and no_new_privs is no");
	CHECK_TEXT(judge("default allow\nEPERM setuid\n", false), "");
	CHECK_TEXT(judge("default EPERM\nallow setuid\n", true), "");
}

static void what_leaving_needs_is_never_denied(void)
{
	for (int gains = 0; gains < 2; gains++)
		CHECK_TEXT(judge("default allow\nEPERM setns\n", gains),
			"P:2: 'setns' is needed to leave the box");
}

int main(void)
{
	RUN(what_gives_root_up_is_allowed_where_programs_gain_it);
	RUN(denying_it_is_wrong_there_and_nowhere_else);
	RUN(what_leaving_needs_is_never_denied);
	return test_end();
}
