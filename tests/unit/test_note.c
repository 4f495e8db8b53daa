#include "helper/state/note.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char top[] = "/tmp/test_note.XXXXXX";
static int dir = -1;

static const struct note good = { .boot = "b0071d", .made = 1700000000, .box = "student",
	.rule = "students@/etc/security/loginbox.conf:28", .user = "alice", .hash = "0123abcd",
	.keeper = { .pid = 12, .start = 34 }, .init = { .pid = 56, .start = 78 } };

static void put(const char *bytes, size_t n)
{
	OWN_FD fd = openat(dir, "note", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && fdio_write_all(fd, bytes, n) == 0);
}

static void get(char *out, size_t size)
{
	CHECK(fdio_read_at(dir, "note", out, size) > 0);
}

static bool readable(void)
{
	struct note note;
	struct fail f = { 0 };
	return note_read(dir, &note, &f) == 0;
}

static void what_was_written_is_read(void)
{
	struct note note;
	struct fail f = { 0 };
	struct stat st;

	umask(0);
	CHECK_NUMBER(note_write(dir, &good, &f), 0);
	umask(077);
	CHECK_NUMBER(note_read(dir, &note, &f), 0);
	CHECK_TEXT(note.boot, good.boot);
	CHECK_NUMBER(note.made, good.made);
	CHECK_TEXT(note.box, good.box);
	CHECK_TEXT(note.rule, good.rule);
	CHECK_TEXT(note.user, good.user);
	CHECK_TEXT(note.hash, good.hash);
	CHECK_NUMBER(note.keeper.pid, 12);
	CHECK_NUMBER(note.init.start, 78);
	CHECK(fstatat(dir, "note", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	CHECK(fstatat(dir, "note.new", &st, 0) < 0);
}

static void a_note_that_was_cut_anywhere_is_refused(void)
{
	char text[4096];
	struct fail f = { 0 };

	note_write(dir, &good, &f);
	get(text, sizeof(text));
	for (size_t n = 0; n < strlen(text); n++) {
		put(text, n);
		if (readable())
			test_fail(__FILE__, __LINE__, "the first %zu bytes are taken for all", n);
	}
	put(text, strlen(text));
	CHECK(readable());
}

static void a_line_that_is_twice_or_unknown_is_refused(void)
{
	char text[4096], more[5000];
	struct fail f = { 0 };
	static const char *const lines[] = { "boot b\n", "init 1 2\n", "colour red\n", "\n", " \n",
		"boot\n", "init 1\n", "init -1 2\n", "init 99999999999 2\n", "init 1 2 3\n" };

	note_write(dir, &good, &f);
	get(text, sizeof(text));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(more, sizeof(more), "%s%s", text, lines[i]);
		put(more, strlen(more));
		if (readable())
			test_fail(__FILE__, __LINE__, "taken: %s", lines[i]);
	}
}

static void replaced(const char *from, const char *to)
{
	char text[4096], more[8192];
	struct fail f = { 0 };

	note_write(dir, &good, &f);
	get(text, sizeof(text));
	char *at = strstr(text, from);
	if (!at) {
		test_fail(__FILE__, __LINE__, "no '%s' in a note", from);
		return;
	}
	snprintf(more, sizeof(more), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	put(more, strlen(more));
	if (readable())
		test_fail(__FILE__, __LINE__, "'%.60s' is taken", to);
}

static void numbers_that_are_none_are_refused(void)
{
	replaced("made 1700000000", "made -1");
	replaced("made 1700000000", "made 0x10");
	replaced("made 1700000000", "made 18446744073709551616");
	replaced("made 1700000000", "made ");
	replaced("keeper 12 34", "keeper 12");
	replaced("keeper 12 34", "keeper 12  34");
	replaced("keeper 12 34", "keeper 4194305 34");
	replaced("keeper 12 34", "keeper +12 34");
	replaced("keeper 12 34", "keeper 12 34 ");
}

static void values_that_are_too_long_are_refused(void)
{
	char longer[600] = "box ";

	memset(longer + 4, 'x', sizeof(longer) - 5);
	replaced("box student", longer);
	memcpy(longer, "user", 4);
	replaced("user alice", longer);
}

static void garbage_is_refused(void)
{
	static char big[1 << 20];
	static const char *const texts[] = { "", "\n", "x", "\xff\xfe\n", "boot", "= =\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(texts[i], strlen(texts[i]));
		CHECK(!readable());
	}
	put("boot b\0d\n", 9);
	CHECK(!readable());
	memset(big, 'x', sizeof(big));
	put(big, sizeof(big));
	CHECK(!readable());
	unlinkat(dir, "note", 0);
	CHECK(!readable());
}

static void a_note_that_does_not_fit_leaves_the_old_one(void)
{
	struct note note;
	struct fail f = { 0 };
	struct rlimit was, low;

	CHECK_NUMBER(note_write(dir, &good, &f), 0);
	getrlimit(RLIMIT_FSIZE, &was);
	low = (struct rlimit){ .rlim_cur = 8, .rlim_max = was.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &low);
	struct note other = good;
	snprintf(other.user, sizeof(other.user), "bob");
	int result = note_write(dir, &other, &f);
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK_NUMBER(result, -1);
	f = (struct fail){ 0 };
	CHECK_NUMBER(note_read(dir, &note, &f), 0);
	CHECK_TEXT(note.user, "alice");
}

static void a_process_is_known_by_its_start_whatever_it_is_called(void)
{
	struct note_process me, again;

	prctl(PR_SET_NAME, ") R 1 2 3 (", 0, 0, 0);
	CHECK_NUMBER(note_process_of(getpid(), &me), 0);
	CHECK(note_process_lives(&me));
	prctl(PR_SET_NAME, "a b c", 0, 0, 0);
	CHECK_NUMBER(note_process_of(getpid(), &again), 0);
	CHECK_NUMBER(me.start, again.start);
	again.start++;
	CHECK(!note_process_lives(&again));
	again = (struct note_process){ .pid = 0, .start = me.start };
	CHECK(!note_process_lives(&again));
}

static void a_process_that_is_gone_is_gone(void)
{
	struct note_process child;
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	CHECK_NUMBER(note_process_of(pid, &child), 0);
	CHECK(note_process_lives(&child));
	test_kill(pid, SIGKILL);
	siginfo_t info;
	CHECK_NUMBER(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	CHECK(!note_process_lives(&child));
	CHECK_NUMBER(note_process_of(pid, &child), -1);
	CHECK_NUMBER(errno, ESRCH);
	waitpid(pid, NULL, 0);
	CHECK(!note_process_lives(&child));
	CHECK_NUMBER(note_process_of(pid, &child), -1);
}

int main(void)
{
	if (!mkdtemp(top) || (dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return 1;
	RUN(what_was_written_is_read);
	RUN(a_note_that_was_cut_anywhere_is_refused);
	RUN(a_line_that_is_twice_or_unknown_is_refused);
	RUN(numbers_that_are_none_are_refused);
	RUN(values_that_are_too_long_are_refused);
	RUN(garbage_is_refused);
	RUN(a_note_that_does_not_fit_leaves_the_old_one);
	RUN(a_process_is_known_by_its_start_whatever_it_is_called);
	RUN(a_process_that_is_gone_is_gone);
	unlinkat(dir, "note", 0);
	unlinkat(dir, "note.new", 0);
	close(dir);
	rmdir(top);
	return test_end();
}
