/*
 * pamapp SERVICE USER STEP...: a PAM application of any shape. Each step prints one line,
 * `STEP CODE`, or what it looked at. `ignore` goes on after errors; else the first bad code
 * of a PAM function is the end, with status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *service, *user;
static pam_handle_t *pamh;
static int flags;
static bool ignore;
static volatile sig_atomic_t children_ended;
static pid_t child = -1;

static int say(int n, const struct pam_message **msg, struct pam_response **answer, void *arg)
{
	(void)arg;
	for (int i = 0; i < n; i++)
		printf("said %s\n", msg[i]->msg);
	*answer = calloc((size_t)n, sizeof(**answer));
	return *answer ? PAM_SUCCESS : PAM_BUF_ERR;
}

static const struct pam_conv conv = { say, NULL };

static void on_child(int sig)
{
	(void)sig;
	children_ended = 1;
}

static int coded(const char *step, int code)
{
	printf("%s %d\n", step, code);
	fflush(stdout);
	if (code != PAM_SUCCESS && !ignore)
		exit(1);
	return code;
}

static void set_sigchld(void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler };
	sigaction(SIGCHLD, &act, NULL);
}

static void block_sigchld(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void show_signals(void)
{
	struct sigaction act;
	sigset_t mask;

	sigaction(SIGCHLD, NULL, &act);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("sigchld %s %s\n",
		act.sa_handler == SIG_IGN       ? "ignored"
			: act.sa_handler == SIG_DFL ? "default"
			: act.sa_handler == on_child ? "handler" : "another",
		sigismember(&mask, SIGCHLD) ? "blocked" : "open");
}

/* A child that ends on its own, while the module may be waiting for another. */
static void start_child(void)
{
	child = fork();
	if (child == 0) {
		usleep(3000);
		_exit(7);
	}
}

static void wait_child(void)
{
	int status = -1;
	pid_t got;

	do
		got = waitpid(child, &status, 0);
	while (got < 0 && errno == EINTR);
	printf("child %s\n", got == child && WIFEXITED(status) && WEXITSTATUS(status) == 7 ? "is mine"
			: errno == ECHILD ? "is gone" : "is wrong");
}

static void show_children(void)
{
	int n = 0;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		n++;
	printf("unknown children %d\n", n);
}

static void *sleep_long(void *nothing)
{
	pause();
	return nothing;
}

static void start_thread(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, sleep_long, NULL);
}

static void show_place(void)
{
	static const char *const kinds[] = { "mnt", "net", "uts", "ipc", "cgroup", "pid_for_children" };
	char path[64], link[64], cwd[4096];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", kinds[i]);
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		printf("%s ", link);
	}
	printf("%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "-");
}

/* As an application does after the session is open: a child becomes the user and runs. */
static void run_as_user(const char *command)
{
	struct passwd *pw = getpwnam(user);
	fflush(stdout);
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		if (!pw || initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
			setuid(pw->pw_uid) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	printf("ran %d\n", pid < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128);
}

/* Close by a process that did not open: as root, or as the user. */
static void close_in_child(bool as_user)
{
	struct passwd *pw = getpwnam(user);
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		if (as_user && (!pw || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0))
			_exit(126);
		int code = pam_close_session(pamh, flags);
		printf("child-close %d\n", code);
		pam_end(pamh, PAM_DATA_SILENT | code);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void *transaction(void *result)
{
	pam_handle_t *mine = NULL;
	int code = pam_start(service, user, &conv, &mine);

	if (code == PAM_SUCCESS)
		code = pam_open_session(mine, PAM_SILENT);
	if (code == PAM_SUCCESS)
		pam_close_session(mine, PAM_SILENT);
	pam_end(mine, code);
	*(int *)result = code;
	return NULL;
}

static void two_at_once(void)
{
	pthread_t threads[2];
	int codes[2] = { -1, -1 };

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, transaction, &codes[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("codes %d %d\n", codes[0], codes[1]);
}

static void show_fds(void)
{
	int n = 0;
	for (int fd = 3; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	printf("descriptors %d\n", n);
}

static void step(const char *word)
{
	const char *value = strchr(word, '=');

	value = value ? value + 1 : "";
	if (strcmp(word, "start") == 0)
		coded(word, pam_start(service, user, &conv, &pamh));
	else if (strcmp(word, "open") == 0)
		coded(word, pam_open_session(pamh, flags));
	else if (strcmp(word, "close") == 0)
		coded(word, pam_close_session(pamh, flags));
	else if (strcmp(word, "end") == 0)
		coded(word, pam_end(pamh, PAM_SUCCESS)), pamh = NULL;
	else if (strncmp(word, "user=", 5) == 0)
		coded("user", pam_set_item(pamh, PAM_USER, value));
	else if (strncmp(word, "rhost=", 6) == 0)
		coded("rhost", pam_set_item(pamh, PAM_RHOST, value));
	else if (strncmp(word, "tty=", 4) == 0)
		coded("tty", pam_set_item(pamh, PAM_TTY, value));
	else if (strcmp(word, "no-conversation") == 0)
		coded(word, pam_set_item(pamh, PAM_CONV, &(struct pam_conv){ 0 }));
	else if (strcmp(word, "silent") == 0)
		flags |= PAM_SILENT;
	else if (strcmp(word, "ignore") == 0)
		ignore = true;
	else if (strcmp(word, "sigchld-ignored") == 0)
		set_sigchld(SIG_IGN);
	else if (strcmp(word, "sigchld-handler") == 0)
		set_sigchld(on_child);
	else if (strcmp(word, "sigchld-blocked") == 0)
		block_sigchld();
	else if (strcmp(word, "signals") == 0)
		show_signals();
	else if (strcmp(word, "child") == 0)
		start_child();
	else if (strcmp(word, "wait-child") == 0)
		wait_child();
	else if (strcmp(word, "children") == 0)
		show_children();
	else if (strcmp(word, "thread") == 0)
		start_thread();
	else if (strcmp(word, "two-at-once") == 0)
		two_at_once();
	else if (strcmp(word, "place") == 0)
		show_place();
	else if (strcmp(word, "descriptors") == 0)
		show_fds();
	else if (strncmp(word, "run=", 4) == 0)
		run_as_user(value);
	else if (strcmp(word, "child-close") == 0)
		close_in_child(false);
	else if (strcmp(word, "user-close") == 0)
		close_in_child(true);
	else if (strcmp(word, "close-all") == 0)
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
	else if (strncmp(word, "sleep=", 6) == 0)
		usleep((unsigned)atoi(value) * 1000);
	else if (strcmp(word, "die") == 0)
		raise(SIGKILL);
	else if (strcmp(word, "leave") == 0)
		_exit(0);
	else
		exit(100);
	fflush(stdout);
}

/* The mistake that the module must not make, shown by the application itself. */
static int naive_wait(void)
{
	set_sigchld(SIG_IGN);
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	return waitpid(pid, NULL, 0) < 0 && errno == ECHILD ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "naive-wait") == 0)
		return naive_wait();
	if (argc < 4)
		return 100;
	service = argv[1];
	user = argv[2];
	for (int i = 3; i < argc; i++)
		step(argv[i]);
	return 0;
}
