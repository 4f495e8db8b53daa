#include "lib/linux/tty.h"

#include "lib/base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PTS_FIRST 136u /* majors of the user's ends, devices.txt of the kernel */
#define PTS_LAST 143u
#define ANY_MAJOR 5u /* 5:0 is /dev/tty, 5:1 the console, 5:2 ptmx */
#define CONSOLE_MINOR 1u

#define SEARCHED 64 /* descriptors: an application has its terminals open early */

enum tty_kind tty_kind_of(int fd)
{
	struct stat st;
	struct termios t;

	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || tcgetattr(fd, &t) < 0)
		return TTY_NONE;
	unsigned at = major(st.st_rdev);
	if (at >= PTS_FIRST && at <= PTS_LAST)
		return TTY_PTS;
	return at == ANY_MAJOR && minor(st.st_rdev) != CONSOLE_MINOR ? TTY_NONE : TTY_OTHER;
}

int tty_find_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (tty_kind_of(fd) != TTY_NONE)
			return fd;
	return -1;
}

static bool is_known(int fd, const int *known, size_t n)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (fstat(known[i], &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
			return true;
	return false;
}

size_t tty_find_all(int *out, size_t room)
{
	struct pollfd open[SEARCHED];
	size_t n = 0;

	/* One call says which numbers are descriptors at all. */
	for (int fd = 0; fd < SEARCHED; fd++)
		open[fd] = (struct pollfd){ .fd = fd };
	bool asked = poll(open, SEARCHED, 0) >= 0;
	for (int fd = 0; fd < SEARCHED && n < room; fd++)
		if (!(asked && open[fd].revents & POLLNVAL) && tty_kind_of(fd) != TTY_NONE &&
			!is_known(fd, out, n))
			out[n++] = fd;
	return n;
}

static bool is_plain(const char *name)
{
	for (const char *at = name; *at; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
			    (*at >= '0' && *at <= '9')))
			return false;
	return *name != '\0';
}

bool tty_name(int fd, char *out, size_t size)
{
	char link[32], path[64];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	struct text t = text_in(out, size);
	if (tty_kind_of(fd) == TTY_PTS) {
		/* Eight majors of 256 numbers each: one count. */
		text_add(&t, "pts%u", (major(st.st_rdev) - PTS_FIRST) * 256 + minor(st.st_rdev));
		return !t.cut;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	if (!text_starts(path, "/dev/") || !is_plain(path + strlen("/dev/")))
		return false;
	text_add(&t, "%s", path + strlen("/dev/"));
	return !t.cut;
}

bool tty_make_raw(int fd, struct termios *was)
{
	struct termios raw;

	if (tcgetattr(fd, was) < 0)
		return false;
	raw = *was;
	cfmakeraw(&raw);
	return tcsetattr(fd, TCSADRAIN, &raw) == 0;
}

void tty_restore(int fd, const struct termios *was)
{
	/* Not TCSADRAIN: nobody may be reading any more what is still to be written. */
	while (tcsetattr(fd, TCSANOW, was) < 0 && errno == EINTR)
		;
}

void tty_copy_size(int from, int to)
{
	struct winsize size;

	if (ioctl(from, TIOCGWINSZ, &size) == 0)
		ioctl(to, TIOCSWINSZ, &size);
}
