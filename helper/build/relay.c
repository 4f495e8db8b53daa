#include "helper/build/relay.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/sys.h"
#include "lib/linux/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PTMX "/dev/pts/ptmx"
#define PTMX_INODE 2 /* of every devpts instance */
#define DRAIN_MS 5000 /* for output that nobody reads any more */
#define AGAIN_MS 50 /* while no process has the slave open */

/* ---- the pair ---------------------------------------------------------------------------- */

/* The name leads to a pty multiplexer of a devpts, and to nothing that lies over it. */
static bool is_ptmx(int fd)
{
	struct stat st;
	struct statfs fs;

	return fstat(fd, &st) == 0 && fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC &&
	       st.st_ino == PTMX_INODE && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2);
}

static void copy_settings(const struct relay *r)
{
	struct termios t;

	if (tcgetattr(r->tty, &t) == 0) {
		/* Without raw mode outside the caller's terminal does this itself. */
		if (tty_kind_of(0) == TTY_NONE)
			t.c_oflag &= ~(tcflag_t)OPOST;
		tcsetattr(r->slave, TCSANOW, &t);
	}
	tty_copy_size(r->tty, r->master);
}

int relay_open(struct relay *out, uid_t uid, struct fail *f)
{
	int unlock = 0, tty = tty_find_stdio();

	*out = (struct relay){ .master = -1, .slave = -1, .tty = tty };
	if (tty < 0)
		return 0;
	OWN_FD master = open(PTMX, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (master < 0)
		return fail_sys(f, "open", PTMX);
	if (!is_ptmx(master))
		return fail_say(
			f, FAIL_SYSTEM, "open", PTMX, "it is no multiplexer of the box's own");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return fail_sys(f, "unlock terminal", PTMX);
	OWN_FD slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || fchown(slave, uid, (gid_t)-1) < 0)
		return fail_sys(f, "open terminal", PTMX);
	out->master = take_fd(&master);
	out->slave = take_fd(&slave);
	copy_settings(out);
	return 0;
}

int relay_take(struct relay *relay, struct fail *f)
{
	if (relay->master < 0)
		return 0;
	own_fd_close(&relay->master);
	/* Argument 0: a terminal that is somebody's is not stolen. */
	if (setsid() < 0 || ioctl(relay->slave, TIOCSCTTY, 0) < 0)
		return fail_sys(f, "take terminal", "");
	for (int fd = 0; fd < 3; fd++)
		if (tty_kind_of(fd) != TTY_NONE && dup2(relay->slave, fd) < 0)
			return fail_sys(f, "take terminal", "");
	own_fd_close(&relay->slave);
	return 0;
}

/* ---- output ------------------------------------------------------------------------------ */

/* What a signal handler of the pump needs. */
static volatile sig_atomic_t pump_drains, pump_orphaned;

static void pump_signal(int sig)
{
	if (sig == SIGUSR1)
		pump_drains = 1;
	else
		pump_orphaned = 1;
}

static void pump_listen(void)
{
	/* No SA_RESTART: a write that waits for a reader is to notice. */
	struct sigaction act = { .sa_handler = pump_signal };
	sigset_t none;

	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool pump_write(int out, const char *bytes, size_t size)
{
	while (size && !pump_orphaned) {
		ssize_t n = write(out, bytes, size);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = out, .events = POLLOUT }, 1, -1);
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
	return true;
}

/* Where the relay is killed, somebody still has to put the terminal back. */
static void __attribute__((noreturn))
pump(pid_t relay, int master, int tty, const struct termios *was)
{
	char bytes[4096];
	int out = tty_kind_of(1) != TTY_NONE ? 1 : tty;

	pump_listen();
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != relay)
		pump_orphaned = 1;
	while (!pump_orphaned) {
		ssize_t n = read(master, bytes, sizeof(bytes));
		if (n > 0 && !pump_write(out, bytes, (size_t)n))
			break;
		if (n > 0)
			continue;
		/* EIO: no slave is open. Nothing waits, or nothing will come. */
		if (pump_drains)
			break;
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = master, .events = POLLIN }, 1, AGAIN_MS * 20);
		else
			poll(NULL, 0, AGAIN_MS);
	}
	if (pump_orphaned && was)
		tty_restore(tty, was);
	_exit(0);
}

/* ---- input, signals, the end ------------------------------------------------------------- */

struct duty {
	struct relay *relay;
	pid_t child, pump;
	int signals;
	bool raw, ended;
	struct termios was;
	int status;
	char bytes[4096];
	size_t at, n; /* typed, not yet passed */
	bool typing; /* the caller's terminal is read */
};

static int open_signals(struct fail *f)
{
	static const int ours[] = { SIGCHLD, SIGWINCH, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* For the pump: told to finish before it has begun, it still writes what there is. */
	sigset_t pumps;
	sigemptyset(&pumps);
	sigaddset(&pumps, SIGUSR1);
	sigprocmask(SIG_BLOCK, &pumps, NULL);
	signal(SIGTTOU, SIG_IGN); /* the terminal is put back from the background, too */
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? fail_sys(f, "wait for signals", "") : fd;
}

static void set_raw(struct duty *d, bool raw)
{
	if (raw && !d->raw && d->typing)
		d->raw = tty_make_raw(d->relay->tty, &d->was);
	else if (!raw && d->raw) {
		tty_restore(d->relay->tty, &d->was);
		d->raw = false;
	}
}

/* The program stopped itself: whoever started this sees it stop, and continues both. */
static void stop_together(struct duty *d)
{
	set_raw(d, false);
	kill(getpid(), SIGSTOP);
	set_raw(d, true);
	tty_copy_size(d->relay->tty, d->relay->master);
	kill(-d->child, SIGCONT);
}

static void look_at_child(struct duty *d)
{
	int status;

	while (!d->ended && waitpid(d->child, &status, WNOHANG | WUNTRACED) == d->child) {
		if (WIFSTOPPED(status)) {
			stop_together(d);
			continue;
		}
		d->ended = true;
		d->status = status;
	}
}

/*
 * As when a line drops: the signal, and a terminal that is no more. A shell may be where it
 * does not look at signals, and sees the end of its terminal.
 */
static void hang_up(struct duty *d)
{
	d->typing = false;
	d->n = 0;
	kill(-d->child, SIGHUP);
	kill(-d->child, SIGCONT);
	kill(d->pump, SIGTERM);
	own_fd_close(&d->relay->master);
}

static void hear_signal(struct duty *d)
{
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof(info)) == sizeof(info)) {
		int sig = (int)info.ssi_signo;
		switch (sig) {
		case SIGCHLD:
			look_at_child(d);
			break;
		case SIGWINCH:
			tty_copy_size(d->relay->tty, d->relay->master);
			break;
		case SIGTERM:
			kill(-d->child, SIGTERM);
			/* fall through */
		case SIGHUP:
			hang_up(d);
			break;
		default:
			/* Typed while the terminal is not raw: for the job in front inside. */
			ioctl(d->relay->master, TIOCSIG, sig);
			break;
		}
	}
}

/* Passes what was typed; a program that does not read stops the typing, nothing else. */
static void pass(struct duty *d, short readable, short writable)
{
	if (readable && d->n == 0) {
		ssize_t n = read(d->relay->tty, d->bytes, sizeof(d->bytes));
		if (n > 0) {
			d->at = 0;
			d->n = (size_t)n;
			writable = POLLOUT;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			hang_up(d);
			return;
		}
	}
	if (writable && d->n) {
		ssize_t n = write(d->relay->master, d->bytes + d->at, d->n);
		if (n > 0) {
			d->at += (size_t)n;
			d->n -= (size_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			d->n = 0;
		}
	}
}

static void serve(struct duty *d)
{
	look_at_child(d);
	while (!d->ended) {
		struct pollfd p[] = {
			{ .fd = d->signals, .events = POLLIN },
			{ .fd = d->typing && d->n == 0 ? d->relay->tty : -1, .events = POLLIN },
			{ .fd = d->n ? d->relay->master : -1, .events = POLLOUT },
		};
		if (poll(p, 3, -1) <= 0)
			continue;
		if (p[0].revents)
			hear_signal(d);
		pass(d, p[1].revents, p[2].revents);
	}
}

/* What the program wrote before it ended is shown, unless nobody reads it. */
static void drain(struct duty *d)
{
	OWN_FD pump = sys_pidfd_open(d->pump);

	kill(d->pump, SIGUSR1);
	if (pump < 0 || fdio_wait(pump, POLLIN, fdio_now_ms() + DRAIN_MS) != 1)
		kill(d->pump, SIGKILL);
	while (waitpid(d->pump, NULL, 0) < 0 && errno == EINTR)
		;
}

int relay_run(struct relay *relay, pid_t child, int *status, struct fail *f)
{
	struct duty d = { .relay = relay, .child = child, .typing = tty_kind_of(0) != TTY_NONE };

	own_fd_close(&relay->slave);
	OWN_FD signals = open_signals(f);
	if (signals < 0)
		return -1;
	d.signals = signals;
	if (d.typing && tcgetpgrp(relay->tty) != getpgrp())
		kill(0, SIGTTIN); /* in the background: wait until it is in front */
	set_raw(&d, true);
	pid_t self = getpid();
	d.pump = fork();
	if (d.pump == 0)
		pump(self, relay->master, relay->tty, d.raw ? &d.was : NULL);
	if (d.pump < 0) {
		set_raw(&d, false);
		return fail_sys(f, "start the relay (fork)", "");
	}
	serve(&d);
	drain(&d);
	set_raw(&d, false);
	own_fd_close(&relay->master);
	*status = d.status;
	return 0;
}
