#include "lib/linux/seccomp_make.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char words[700];

/* "" or what is wrong with it. */
static const char *judge(const char *text, bool gains)
{
	const struct seccomp_profile profile = { .text = text, .name = "P", .gains = gains };
	struct fail f = { 0 };

	words[0] = '\0';
	if (seccomp_compile_profile(&profile, NULL, 0, NULL, &f) < 0)
		fail_word(&f, words, sizeof(words));
	return words;
}

#define KILLED 1000

/* The error number that the call gets under the profile, in a child, or KILLED by SIGSYS; -1: no
 * filter could be made. */
static int answer_to(const struct seccomp_profile *profile, long number)
{
	static struct sock_filter code[SECCOMP_MOST];
	struct fail f = { 0 };
	size_t n = 0;
	int status = -1;

	if (seccomp_compile_profile(profile, code, SECCOMP_MOST, &n, &f) < 0)
		return -1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		const struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
			_exit(255);
		/* By the call itself: a sanitizer's _exit(2) makes others first. */
		syscall(SYS_exit_group, syscall(number, -1, -1, -1) < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -1;
	return WEXITSTATUS(status);
}

static int answer(const char *text, bool gains, long number)
{
	return answer_to(&(struct seccomp_profile){ .text = text, .name = "P", .gains = gains }, number);
}

static int at_last(const char *text, long number)
{
	return answer_to(&(struct seccomp_profile){ .text = text, .name = "P", .last = true }, number);
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

static void what_kills_kills_at_the_last_exec_alone(void)
{
	static const char text[] = "default allow\nkill setresuid, setns\nEPERM setreuid\n";

	CHECK_NUMBER(answer(text, false, SYS_setresuid), 0);
	CHECK_NUMBER(answer(text, false, SYS_setreuid), EPERM);
	CHECK_NUMBER(at_last(text, SYS_setresuid), KILLED);
	CHECK_NUMBER(at_last(text, SYS_setns), KILLED);
	CHECK_NUMBER(at_last(text, SYS_setreuid), EPERM);
	CHECK_NUMBER(at_last(text, SYS_getppid), 0);
}

static void a_default_that_kills_is_none_for_the_application(void)
{
	static const char text[] = "default kill\nallow getuid\nEACCES setreuid\n";

	CHECK_NUMBER(answer(text, false, SYS_getppid), 0);
	CHECK_NUMBER(answer(text, false, SYS_setreuid), EACCES);
	CHECK_NUMBER(at_last(text, SYS_getppid), KILLED);
	CHECK_NUMBER(at_last(text, SYS_setns), KILLED);
	CHECK_NUMBER(at_last(text, SYS_setreuid), EACCES);
	CHECK_NUMBER(at_last(text, SYS_getuid), 0);
	/* The exec itself, and another helper's filter. */
	CHECK_NUMBER(at_last(text, SYS_execve), EFAULT);
	CHECK_NUMBER(at_last(text, SYS_seccomp), EINVAL);
}

static void another_default_stays_the_applications_too(void)
{
	static const char text[] = "default EPERM\nallow getuid\nkill setresuid\n";

	CHECK_NUMBER(answer(text, false, SYS_setresuid), EPERM);
	CHECK_NUMBER(answer(text, false, SYS_seccomp), EINVAL);
	CHECK_NUMBER(at_last(text, SYS_setresuid), KILLED);
	CHECK_NUMBER(at_last(text, SYS_getppid), EPERM);
}

static void what_the_exec_needs_never_kills_and_root_is_never_killed(void)
{
	CHECK_TEXT(judge("default allow\nkill execve\n", false), "P:2: 'execve' is needed at the last exec");
	CHECK_TEXT(judge("default kill\nEPERM seccomp\n", false),
		"P:2: 'seccomp' is needed at the last exec");
	CHECK_TEXT(judge("default allow\nEPERM seccomp\n", false), "");
	CHECK_TEXT(judge("default allow\nkill mount\n", true),
		"P:2: 'kill' would end programs of root's halfway, and no_new_privs is no");
	CHECK_TEXT(judge("default kill\n", true),
		"P:1: 'kill' would end programs of root's halfway, and no_new_privs is no");
}

/* The first, the last or the strictest: nobody could tell from the file. */
static void a_call_has_one_action(void)
{
	CHECK_TEXT(judge("default allow\nEPERM mount\n\nENOSYS acct, mount\n", false),
		"P:4: 'mount' has another action in line 2");
	CHECK_TEXT(judge("default EPERM\nallow mount\nEPERM mount\n", false),
		"P:3: 'mount' has another action in line 2");
	CHECK_TEXT(judge("default allow\nkill mount\nEPERM mount\n", false),
		"P:3: 'mount' has another action in line 2");
	CHECK_TEXT(judge("default allow\nEPERM mount\nEPERM acct mount mount\n", false), "");
	CHECK_NUMBER(answer("default allow\nEPERM acct\nEPERM acct\n", false, SYS_acct), EPERM);
}

static void what_kills_is_found_in_a_text(void)
{
	static const char *const kills[] = { "kill x", "default allow\n kill\tx\n", "default kill",
		"\tdefault \t kill\r\n", "# a\n\n\nkill" };
	static const char *const spares[] = { "", "\n", "default allow\nEPERM kill\n", "# kill x\n",
		"default allow\nkilled x\n", "default killed\n", "default\nallow kill\n", "KILL x\n" };

	for (size_t i = 0; i < sizeof(kills) / sizeof(kills[0]); i++)
		if (!seccomp_profile_kills(kills[i]))
			test_fail(__FILE__, __LINE__, "'%s' kills", kills[i]);
	for (size_t i = 0; i < sizeof(spares) / sizeof(spares[0]); i++)
		if (seccomp_profile_kills(spares[i]))
			test_fail(__FILE__, __LINE__, "'%s' kills nothing", spares[i]);
}

int main(void)
{
	RUN(what_gives_root_up_is_allowed_where_programs_gain_it);
	RUN(denying_it_is_wrong_there_and_nowhere_else);
	RUN(what_leaving_needs_is_never_denied);
	RUN(what_kills_kills_at_the_last_exec_alone);
	RUN(a_default_that_kills_is_none_for_the_application);
	RUN(another_default_stays_the_applications_too);
	RUN(what_the_exec_needs_never_kills_and_root_is_never_killed);
	RUN(a_call_has_one_action);
	RUN(what_kills_is_found_in_a_text);
	return test_end();
}
