/*
 * signals ROUNDS PROGRAM [ARGUMENT...]: run by a user, this starts the program ROUNDS times
 * and sends it every signal in turn, as fast as it can, for as long as it lives. Counted by
 * what the program was when the signal was sent, as /proc said before and after:
 *
 *	early   real uid still the caller's: the first instructions of a set-user-ID program
 *	root    root alone: no signal may come through
 *	user    the caller's own again
 *
 * Last line: `early=N root=N user=N denied=N`, the numbers of signals that came through, and
 * of those that root's process refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { GONE, EARLY, ROOT, USER, KINDS };

static enum what look(const char *path)
{
	char text[2048];
	unsigned real, effective, saved;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return GONE;
	text[n] = '\0';
	char *line = strstr(text, "\nUid:");
	if (strstr(text, "\nState:\tZ") || !line ||
		sscanf(line, "\nUid: %u %u %u", &real, &effective, &saved) != 3)
		return GONE;
	if (real == 0)
		return ROOT;
	return effective == 0 ? EARLY : USER;
}

/* Not those that would end the early program each time and show nothing else. */
static const int all[] = { SIGCONT, SIGURG, SIGWINCH, SIGCHLD, SIGSTOP, SIGTSTP, SIGTTOU, SIGTTIN,
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGSEGV, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGXFSZ,
	SIGXCPU, SIGABRT, SIGKILL };
#define ALL ((int)(sizeof(all) / sizeof(all[0])))

static long came[KINDS], denied;

static void attack(pid_t pid, int first)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (int i = first;; i++) {
		int sig = all[i % ALL];
		enum what before = look(path);
		if (before == GONE)
			break;
		/* Only root's process is worth a deadly one: the others may die of it. */
		if (before != ROOT && i % ALL >= 4)
			sig = SIGWINCH;
		int sent = kill(pid, sig);
		int err = errno;
		enum what after = look(path);
		/* Gone: it may have become the user's first. A right does not depend on the signal,
		 * so the harmless ones of the list show what the deadly ones may. */
		if (before != after)
			continue;
		/* SIGCONT reaches every process of one's own session, by POSIX. */
		if (sent == 0 && sig != SIGCONT)
			came[before]++;
		else if (sent < 0 && err == EPERM && before == ROOT)
			denied++;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return;
	}
	kill(pid, SIGCONT);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 100;
	for (int i = 0; i < atoi(argv[1]); i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 111;
		if (pid == 0) {
			int null = open("/dev/null", O_RDWR);
			dup2(null, 0);
			dup2(null, 1);
			dup2(null, 2);
			execv(argv[2], argv + 2);
			_exit(127);
		}
		attack(pid, i);
	}
	printf("early=%ld root=%ld user=%ld denied=%ld\n", came[EARLY], came[ROOT], came[USER], denied);
	return 0;
}
