#include "lib/linux/tty.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/ioctl.h>

static int master, slave;

static bool open_pair(void)
{
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return false;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return slave >= 0;
}

static void only_the_users_end_of_a_pty_is_a_terminal(void)
{
	int ends[2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_NUMBER(tty_kind_of(slave), TTY_PTS);
	CHECK_NUMBER(tty_kind_of(master), TTY_NONE);
	CHECK_NUMBER(tty_kind_of(null), TTY_NONE);
	CHECK_NUMBER(tty_kind_of(directory), TTY_NONE);
	CHECK_NUMBER(tty_kind_of(-1), TTY_NONE);
	CHECK_NUMBER(tty_kind_of(4711), TTY_NONE);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK_NUMBER(tty_kind_of(ends[0]), TTY_NONE);
	close(ends[0]);
	close(ends[1]);
	close(null);
	close(directory);
}

static void its_name_is_its_number(void)
{
	char name[32], small[4];
	unsigned number = 0;
	char expected[32];

	CHECK(ioctl(master, TIOCGPTN, &number) == 0);
	snprintf(expected, sizeof(expected), "pts%u", number);
	CHECK(tty_name(slave, name, sizeof(name)));
	CHECK_TEXT(name, expected);
	CHECK(!tty_name(slave, small, sizeof(small)));
	CHECK(!tty_name(-1, name, sizeof(name)));
}

/* What is a device of another kind, or lies deeper, has no name. */
static void a_name_leads_nowhere_else(void)
{
	char name[32];
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	CHECK(!tty_name(file, name, sizeof(name)));
	close(file);
}

static void each_terminal_is_found_once(void)
{
	int found[4], again = dup(slave);
	size_t n = tty_find_all(found, 4), same = 0;

	for (size_t i = 0; i < n; i++)
		same += found[i] == slave || found[i] == again;
	CHECK_NUMBER(same, 1);
	CHECK_NUMBER(tty_find_all(found, 0), 0);
	close(again);
}

static void raw_and_back(void)
{
	struct termios was, now, before;

	CHECK(tcgetattr(slave, &before) == 0);
	CHECK(tty_make_raw(slave, &was));
	CHECK(tcgetattr(slave, &now) == 0);
	CHECK(!(now.c_lflag & (ICANON | ECHO | ISIG)));
	CHECK(!(now.c_oflag & OPOST));
	tty_restore(slave, &was);
	CHECK(tcgetattr(slave, &now) == 0);
	CHECK(now.c_lflag == before.c_lflag && now.c_oflag == before.c_oflag &&
		now.c_iflag == before.c_iflag && now.c_cflag == before.c_cflag);
	CHECK(!tty_make_raw(-1, &was));
}

static void a_size_is_copied(void)
{
	struct winsize size = { .ws_row = 33, .ws_col = 99 }, seen = { 0 };
	int other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	CHECK(ioctl(slave, TIOCSWINSZ, &size) == 0);
	tty_copy_size(slave, other);
	CHECK(ioctl(other, TIOCGWINSZ, &seen) == 0);
	CHECK_NUMBER(seen.ws_row, 33);
	CHECK_NUMBER(seen.ws_col, 99);
	tty_copy_size(-1, other);
	CHECK(ioctl(other, TIOCGWINSZ, &seen) == 0);
	CHECK_NUMBER(seen.ws_col, 99);
	close(other);
}

int main(void)
{
	if (!open_pair())
		return 1;
	RUN(only_the_users_end_of_a_pty_is_a_terminal);
	RUN(its_name_is_its_number);
	RUN(a_name_leads_nowhere_else);
	RUN(each_terminal_is_found_once);
	RUN(raw_and_back);
	RUN(a_size_is_copied);
	return test_end();
}
