#include "helper/keeper/init.h"

#include "helper/build/sync.h"
#include "helper/keeper/slim.h"
#include "helper/keeper/title.h"
#include "lib/base/fail.h"
#include "lib/base/fdio.h"
#include "lib/linux/caps.h"
#include "lib/linux/fds.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL_FD 3

#define LOOK_MS 1000 /* a child of the application's ends without a word to this process */

/* Takes every child that has ended. */
static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Whether this process is the last of the box. Costs as much as the host has processes. */
static bool is_last(void)
{
	/* Finds all but the caller, also those that it may not signal. */
	return kill(-1, 0) < 0 && errno == ESRCH;
}

/* Whether the keeper asks to be told when the box is empty; its end is the end. */
static bool hear_keeper(void)
{
	struct sync word;
	struct fail f = FAIL_BY("inside");
	ssize_t n = fdio_recv(CONTROL_FD, &word, sizeof(word), NULL, NULL, 0, &f);

	if (n <= 0)
		_exit(1);
	return n == sizeof(word) && word.kind == SYNC_ASK;
}

static void wait_for_children(int signals)
{
	const struct sync empty = { .kind = SYNC_EMPTY };
	struct signalfd_siginfo info;
	struct fail f = FAIL_BY("inside");
	bool asked = false;

	for (;;) {
		struct pollfd polls[] = { { .fd = signals, .events = POLLIN },
			{ .fd = CONTROL_FD, .events = POLLIN } };
		reap();
		if (asked && is_last() &&
			fdio_send(CONTROL_FD, &empty, sizeof(empty), NULL, &f) == 0)
			asked = false;
		if (poll(polls, 2, asked ? LOOK_MS : -1) < 0)
			continue;
		if (polls[0].revents && read(signals, &info, sizeof(info)) < 0)
			continue;
		if (polls[1].revents)
			asked = hear_keeper();
	}
}

void init_live(int control)
{
	struct fail f = FAIL_BY("inside");
	sigset_t all, child;

	/* Before the first child can end: a SIGCHLD that is lost leaves a zombie. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	title_set("loginbox-init");
	if (control != CONTROL_FD && dup2(control, CONTROL_FD) < 0)
		_exit(1);
	if (fds_close_from(CONTROL_FD + 1, &f) < 0)
		_exit(1);
	int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		_exit(1);
	/* Nothing that init is made to execute could have anything: neither root by its uid, for
	 * that is locked, nor a file's capabilities. */
	if (caps_lock_root(&f) < 0 || caps_no_new_privs(&f) < 0 || caps_clear(&f) < 0)
		_exit(1);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
	slim_for_good(__builtin_frame_address(0));
	wait_for_children(signals);
	_exit(1);
}
