/*
 * client: a PAM application that does what its words say, in their order, and prints a line
 * for each: what applications in the wild do, one word each.
 *
 *	client SERVICE WORD...
 *	start=USER    pam_start            use=N     the handle for the next words (0, 1)
 *	open close end, open-silent        tty=NAME  rhost=NAME   items
 *	run           a child that says where it is (its pid namespace); "failed" without one
 *	status=N      a child that ends with N, waited for as applications do
 *	fork-close    a child that closes the session and ends the handle, then exits
 *	quiet-child   a child that ends before the next word and is waited for by `reap`
 *	thread        one more thread from here on
 *	ignore-chld   catch-chld  chld    how SIGCHLD is set, and what it is now
 *	ruid=N        setreuid(N, -1)      fds       how many descriptors are open
 *	close-fds     closes all from 3    cwd=DIR   chdir, and `cwd` says where
 *	env=NAME      prints a variable    set=N=V   sets one
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pam_handle_t *handles[2];
static int in_use;
static volatile sig_atomic_t caught;
static pid_t quiet;

static int converse(
	int n, const struct pam_message **messages, struct pam_response **out, void *arg)
{
	(void)arg;
	for (int i = 0; i < n; i++)
		printf("said %s\n", messages[i]->msg);
	*out = calloc((size_t)n, sizeof(**out));
	return *out ? PAM_SUCCESS : PAM_CONV_ERR;
}

static void on_child(int sig)
{
	(void)sig;
	caught++;
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static const char *code(int result)
{
	static char other[16];

	switch (result) {
	case PAM_SUCCESS:
		return "success";
	case PAM_SYSTEM_ERR:
		return "system_err";
	case PAM_PERM_DENIED:
		return "perm_denied";
	case PAM_USER_UNKNOWN:
		return "user_unknown";
	default:
		snprintf(other, sizeof(other), "%d", result);
		return other;
	}
}

/* The status of a child, as waitpid tells: "lost" where somebody else took it. */
static void wait_and_say(const char *word, pid_t pid)
{
	int status;

	if (pid < 0)
		printf("%s no-fork %s\n", word, strerror(errno));
	else if (waitpid(pid, &status, 0) < 0)
		printf("%s lost\n", word);
	else
		printf("%s %d\n", word,
			WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

static void run(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/readlink", "readlink", "/proc/self/ns/pid", NULL);
		_exit(127);
	}
	wait_and_say("ran", pid);
}

static void end_with(int status)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(status);
	wait_and_say("status", pid);
}

static void fork_close(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int result = pam_close_session(handles[in_use], 0);
		pam_end(handles[in_use], PAM_DATA_SILENT);
		_exit(result);
	}
	wait_and_say("fork-close", pid);
}

static void count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	printf("fds %d\n", n);
}

static void say_chld(void)
{
	struct sigaction act;

	sigaction(SIGCHLD, NULL, &act);
	printf("chld %s caught=%d\n",
		act.sa_handler == SIG_IGN   ? "ignored"
		: act.sa_handler == SIG_DFL ? "default"
					    : "handler",
		(int)caught);
}

static int do_pam(const char *service, const char *word, const char *value)
{
	pam_handle_t **h = &handles[in_use];
	const struct pam_conv conv = { converse, NULL };

	if (strcmp(word, "start") == 0)
		printf("start %s\n", code(pam_start(service, value, &conv, h)));
	else if (strcmp(word, "open") == 0)
		printf("open %s\n", code(pam_open_session(*h, 0)));
	else if (strcmp(word, "open-silent") == 0)
		printf("open %s\n", code(pam_open_session(*h, PAM_SILENT)));
	else if (strcmp(word, "close") == 0)
		printf("close %s\n", code(pam_close_session(*h, 0)));
	else if (strcmp(word, "end") == 0)
		printf("end %s\n", code(pam_end(*h, PAM_SUCCESS)));
	else if (strcmp(word, "tty") == 0)
		pam_set_item(*h, PAM_TTY, value);
	else if (strcmp(word, "rhost") == 0)
		pam_set_item(*h, PAM_RHOST, value);
	else if (strcmp(word, "use") == 0)
		in_use = atoi(value) & 1;
	else
		return 0;
	return 1;
}

static int do_process(const char *word, const char *value)
{
	pthread_t thread;

	if (strcmp(word, "run") == 0)
		run();
	else if (strcmp(word, "status") == 0)
		end_with(atoi(value));
	else if (strcmp(word, "fork-close") == 0)
		fork_close();
	else if (strcmp(word, "quiet-child") == 0)
		quiet = fork();
	else if (strcmp(word, "reap") == 0)
		wait_and_say("reap", quiet);
	else if (strcmp(word, "thread") == 0)
		pthread_create(&thread, NULL, idle, NULL);
	else if (strcmp(word, "ignore-chld") == 0)
		signal(SIGCHLD, SIG_IGN);
	else if (strcmp(word, "catch-chld") == 0)
		signal(SIGCHLD, on_child);
	else if (strcmp(word, "chld") == 0)
		say_chld();
	else
		return 0;
	if (strcmp(word, "quiet-child") == 0 && quiet == 0)
		_exit(5);
	return 1;
}

static int do_state(const char *word, const char *value)
{
	char path[4096];

	if (strcmp(word, "ruid") == 0)
		printf("ruid %d\n", setreuid((uid_t)atoi(value), (uid_t)-1));
	else if (strcmp(word, "fds") == 0)
		count_fds();
	else if (strcmp(word, "close-fds") == 0)
		closefrom(3);
	else if (strcmp(word, "cwd") == 0 && *value)
		printf("cd %d\n", chdir(value));
	else if (strcmp(word, "cwd") == 0)
		printf("cwd %s\n", getcwd(path, sizeof(path)));
	else if (strcmp(word, "env") == 0)
		printf("env %s\n", getenv(value) ? getenv(value) : "(unset)");
	else if (strcmp(word, "set") == 0)
		putenv(strdup(value));
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	char word[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++) {
		size_t n = strcspn(argv[i], "=");
		const char *value = argv[i][n] ? argv[i] + n + 1 : "";
		snprintf(word, sizeof(word), "%.*s", (int)n, argv[i]);
		if (!do_pam(argv[1], word, value) && !do_process(word, value) &&
			!do_state(word, value)) {
			fprintf(stderr, "client: what is '%s'?\n", argv[i]);
			return 100;
		}
	}
	return 0;
}
