/*
 * meter.c - measures sessions: what they take until they are closed, and until nothing of
 * them is left.
 *
 *	meter ROUNDS REST_MS FILE    each line of FILE one case, fields separated by tabs:
 *	                             NAME pam SERVICE USER PROGRAM ARGUMENTS
 *	                             NAME run PROGRAM ARGUMENTS
 *	meter hold N FILE            opens the one case of FILE N times, says "ready", and
 *	                             closes them when its standard input ends
 *
 * `pam` is what sshd does: open a session in a process of root's, fork, become the user,
 * execute, wait, close. All cases are taken in every round, each round starting with the next
 * one, so that a busy machine is busy for all. One JSON object a line on stdout:
 *
 *	case round rc
 *	open run close   microseconds the application waits in each
 *	gone             from the close until the last process of the session has ended
 *	cpu              microseconds of processor time of all these processes together
 *
 * Each session is measured in a fresh process that is the subreaper of whatever the session
 * starts. A keeper that outlives the helper becomes its child; wait4(2) then gives the time
 * of the keeper and of all that the keeper has reaped, box and init with it.
 *
 * Uses: libpam.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASES_MAX 32
#define WORDS_MAX 256
#define HOLD_MAX 2000
#define FAILED 125

struct kind {
	char *name;
	bool pam;
	char *service, *user;
	char **program;
	char *words[WORDS_MAX];
};

struct measure {
	double open, run, close, gone, cpu;
	int rc;
};

static struct kind cases[CASES_MAX];
static size_t n_cases;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "meter: %s: %s\n", what, strerror(errno));
	exit(FAILED);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double cpu_of(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int rc_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- one session ------------------------------------------------------------------------- */

static int say_nothing(int n, const struct pam_message **msg, struct pam_response **out, void *arg)
{
	(void)msg;
	(void)arg;
	*out = calloc((size_t)n, sizeof(**out));
	return *out ? PAM_SUCCESS : PAM_BUF_ERR;
}

static pam_handle_t *start_pam(const struct kind *k)
{
	static const struct pam_conv conv = { say_nothing, NULL };
	pam_handle_t *pamh = NULL;

	if (pam_start(k->service, k->user, &conv, &pamh) != PAM_SUCCESS)
		die("pam_start");
	return pamh;
}

static void __attribute__((noreturn))
become(const struct passwd *pw, const gid_t *groups, int n_groups, char **program)
{
	/* By raw calls: the memory is the parent's. */
	if (syscall(SYS_setgroups, (size_t)n_groups, groups) < 0 ||
		syscall(SYS_setresgid, pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
		syscall(SYS_setresuid, pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		_exit(FAILED);
	execv(program[0], program);
	_exit(FAILED);
}

static void reap_all(void)
{
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

static void measure_pam(const struct kind *k, struct measure *m)
{
	struct passwd *pw = getpwnam(k->user);
	gid_t groups[64];
	int n_groups = 64, status = 0;
	pam_handle_t *pamh = start_pam(k);

	if (!pw || getgrouplist(k->user, pw->pw_gid, groups, &n_groups) < 0)
		die(k->user);
	double cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN);
	double t0 = now_us();
	int opened = pam_open_session(pamh, 0);
	double t1 = now_us();
	if (opened != PAM_SUCCESS)
		die("pam_open_session");
	/* Not fork: the size of this process is no cost of the session. */
	pid_t pid = vfork();
	if (pid == 0)
		become(pw, groups, n_groups, k->program);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	double t2 = now_us();
	if (pam_close_session(pamh, 0) != PAM_SUCCESS)
		die("pam_close_session");
	double t3 = now_us();
	reap_all();
	double t4 = now_us();
	cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN) - cpu;
	*m = (struct measure){ t1 - t0, t2 - t1, t3 - t2, t4 - t3, cpu, rc_of(status) };
	pam_end(pamh, PAM_SUCCESS);
}

static void measure_run(const struct kind *k, struct measure *m)
{
	int status = 0;
	double cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN);
	double t0 = now_us();
	pid_t pid = vfork();
	if (pid == 0) {
		execv(k->program[0], k->program);
		_exit(FAILED);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	double t3 = now_us();
	reap_all();
	double t4 = now_us();
	cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN) - cpu;
	*m = (struct measure){ 0, t3 - t0, 0, t4 - t3, cpu, rc_of(status) };
}

static void measure(const struct kind *k, struct measure *m)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
			die("subreaper");
		*m = (struct measure){ .rc = FAILED };
		if (k->pam)
			measure_pam(k, m);
		else
			measure_run(k, m);
		_exit(write(ends[1], m, sizeof(*m)) != sizeof(*m));
	}
	close(ends[1]);
	if (read(ends[0], m, sizeof(*m)) != sizeof(*m))
		m->rc = FAILED;
	close(ends[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- many that stay ---------------------------------------------------------------------- */

struct held {
	pid_t pid;
	int alive; /* its child lives as long as this end is open */
};

/* In a process of its own: what a session gives up, the next one would lack. */
static int hold_one(const struct kind *k, int ready)
{
	char word = 'r', end;

	if (k->pam) {
		pam_handle_t *pamh = start_pam(k);
		if (pam_open_session(pamh, 0) != PAM_SUCCESS)
			return FAILED;
		if (write(ready, &word, 1) != 1 || read(0, &end, 1) < 0)
			return FAILED;
		return pam_close_session(pamh, 0);
	}
	/* Such a program says itself that it is there, by one byte. */
	if (dup2(ready, 1) < 0)
		return FAILED;
	execv(k->program[0], k->program);
	return FAILED;
}

static int hold(int n)
{
	static struct held all[HOLD_MAX];
	char word;
	int failed = 0;
	double t0 = now_us();

	for (int i = 0; i < n; i++) {
		int alive[2], ready[2];
		if (pipe2(alive, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
			die("pipe");
		all[i].pid = fork();
		if (all[i].pid == 0) {
			/* Else one session would keep another's end from being seen. */
			for (int k = 0; k < i; k++)
				close(all[k].alive);
			close(alive[1]);
			if (dup2(alive[0], 0) < 0)
				_exit(FAILED);
			_exit(hold_one(&cases[0], ready[1]));
		}
		close(alive[0]);
		close(ready[1]);
		all[i].alive = alive[1];
		failed += read(ready[0], &word, 1) != 1;
		close(ready[0]);
	}
	double t1 = now_us();
	printf("ready %d %d", failed, (int)(t1 - t0));
	for (int i = 0; i < n; i++)
		printf(" %d", all[i].pid);
	printf("\n");
	fflush(stdout);
	while (read(0, &word, 1) > 0)
		;
	/* One after the other, as they were opened. */
	for (int i = 0; i < n; i++) {
		close(all[i].alive);
		while (waitpid(all[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return failed != 0;
}

/* ---- cases ------------------------------------------------------------------------------- */

static void read_case(struct kind *k, char *line)
{
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *at = line; at && n < WORDS_MAX - 1;) {
		char *tab = strchr(at, '\t');
		if (tab)
			*tab++ = '\0';
		k->words[n++] = at;
		at = tab;
	}
	if (n < 3)
		exit(100);
	k->name = k->words[0];
	k->pam = strcmp(k->words[1], "pam") == 0;
	if (k->pam && n < 5)
		exit(100);
	k->service = k->words[2];
	k->user = k->words[3];
	k->program = k->words + (k->pam ? 4 : 2);
}

static void read_cases(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t room = 0;

	if (!file)
		die(path);
	while (n_cases < CASES_MAX) {
		char *line = NULL;
		if (getline(&line, &room, file) < 0)
			break;
		room = 0;
		read_case(&cases[n_cases++], line);
	}
	fclose(file);
	if (!n_cases)
		exit(100);
}

static void settle_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0)
		die("/dev/null");
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 100;
	read_cases(argv[3]);
	if (strcmp(argv[1], "hold") == 0)
		return hold(atoi(argv[2]));
	settle_stdio();
	int rounds = atoi(argv[1]), rest_ms = atoi(argv[2]);
	const struct timespec rest = { rest_ms / 1000, rest_ms % 1000 * 1000000L };
	/* The first round only warms caches. */
	for (int round = -1; round < rounds; round++)
		for (size_t i = 0; i < n_cases; i++) {
			const struct kind *k = &cases[(i + (size_t)(round + 1)) % n_cases];
			struct measure m;
			if (rest_ms)
				nanosleep(&rest, NULL);
			measure(k, &m);
			printf("{\"case\":\"%s\",\"round\":%d,\"rc\":%d,\"open\":%.0f,\"run\":%.0f,"
			       "\"close\":%.0f,\"gone\":%.0f,\"cpu\":%.0f}\n",
				k->name, round, m.rc, m.open, m.run, m.close, m.gone, m.cpu);
		}
	return 0;
}
