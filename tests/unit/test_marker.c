#include "helper/state/marker.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PATH LOGINBOX_RUN "/" MARKER_FILE
#define FILTER LOGINBOX_RUN "/" MARKER_FILTER

static struct account account = { .name = (char *)"alice", .uid = 2001, .gid = 2001 };

static struct plan plan_of(void)
{
	struct plan plan = { .account = &account, .nested = NESTED_REFUSE, .shell = (char *)"/bin/sh" };

	plan.limits[RLIMIT_NOFILE] = (struct limit){ .set = true, .soft = 100, .hard = 200 };
	plan.limits[RLIMIT_CPU] =
		(struct limit){ .set = true, .soft = RLIM_INFINITY, .hard = RLIM_INFINITY };
	return plan;
}

static void put(const char *bytes, size_t n)
{
	unlink(PATH);
	OWN_FD fd = open(PATH, O_WRONLY | O_CREAT | O_EXCL, 0444);
	CHECK(fd >= 0 && fdio_write_all(fd, bytes, n) == 0);
}

static int read_it(struct marker *out)
{
	struct fail f = { 0 };
	return marker_read(out, &f);
}

static int read_text(const char *text)
{
	struct marker marker;
	put(text, strlen(text));
	return read_it(&marker);
}

static void what_was_made_is_read(void)
{
	char text[MARKER_MAX];
	struct plan plan = plan_of();
	struct marker marker;

	CHECK_NUMBER(marker_make(text, sizeof(text), &plan, "0123abcd"), 0);
	put(text, strlen(text));
	CHECK_NUMBER(read_it(&marker), 1);
	CHECK_TEXT(marker.id, "0123abcd");
	CHECK_NUMBER(marker.uid, 2001);
	CHECK_TEXT(marker.shell, "/bin/sh");
	CHECK(!marker.nested_stays);
	CHECK(marker.limits[RLIMIT_NOFILE].set && marker.limits[RLIMIT_NOFILE].hard == 200);
	CHECK(marker.limits[RLIMIT_CPU].soft == RLIM_INFINITY);
	CHECK(!marker.limits[RLIMIT_CORE].set);
	CHECK(!marker.filter);
}

static void a_filter_that_the_marker_names_is_there_or_it_is_a_failure(void)
{
	char text[MARKER_MAX];
	struct plan plan = plan_of();
	struct marker marker;
	struct fail f = { 0 };

	plan.kills = true;
	CHECK_NUMBER(marker_make(text, sizeof(text), &plan, "0123abcd"), 0);
	put(text, strlen(text));
	CHECK_NUMBER(read_it(&marker), 1);
	CHECK(marker.filter);
	CHECK_NUMBER(marker_filter_open(&f), -1);
	CHECK_NUMBER(f.err, ENOENT);
	f = (struct fail){ 0 };
	CHECK_NUMBER(symlink("/dev/null", FILTER), 0);
	CHECK_NUMBER(marker_filter_open(&f), -1);
	CHECK_NUMBER(unlink(FILTER), 0);
	OWN_FD made = open(FILTER, O_WRONLY | O_CREAT | O_EXCL, 0444);
	f = (struct fail){ 0 };
	OWN_FD fd = marker_filter_open(&f);
	CHECK(made >= 0 && fd >= 0);
	unlink(FILTER);
}

static void a_marker_that_does_not_fit_is_not_made(void)
{
	char text[40];
	struct plan plan = plan_of();
	CHECK_NUMBER(marker_make(text, sizeof(text), &plan, "0123abcd"), -1);
}

static void without_a_marker_this_is_no_box(void)
{
	struct marker marker;

	unlink(PATH);
	CHECK_NUMBER(read_it(&marker), 0);
	rmdir(LOGINBOX_RUN);
	CHECK_NUMBER(read_it(&marker), 0);
	CHECK_NUMBER(mkdir(LOGINBOX_RUN, 0700), 0);
}

static void a_state_directory_that_a_user_may_not_enter_is_no_box(void)
{
	int status;

	read_text("uid 2001\n");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct marker marker;
		_exit(setuid(65534) < 0 ? 100 : read_it(&marker));
	}
	waitpid(pid, &status, 0);
	CHECK_NUMBER(status, 0);
}

static void what_is_not_ours_is_a_failure_and_not_outside(void)
{
	static const char *const bad[] = { "x", "x\n", "uid\n", "uid -1\n", "uid 4294967295\n",
		"uid 1x\n", "limit 1 2\n", "limit 16 1 2\n", "limit 1 2 3 4\n", "limit -1 2 3\n",
		"colour red\n", "uid 2001\nshell /bin/sh", "\n",
		"id 01234567890123456789\n" };
	static char big[2 * MARKER_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (read_text(bad[i]) != -1)
			test_fail(__FILE__, __LINE__, "'%s' is taken", bad[i]);
	memset(big, 'x', sizeof(big) - 1);
	CHECK_NUMBER(read_text(big), -1);
	unlink(PATH);
	CHECK(mkdir(PATH, 0755) == 0);
	struct marker marker;
	CHECK_NUMBER(read_it(&marker), -1);
	rmdir(PATH);
}

static void a_marker_that_names_no_user_is_nobodys(void)
{
	struct marker marker;

	put("", 0);
	CHECK_NUMBER(read_it(&marker), 1);
	CHECK_NUMBER(marker.uid, (uid_t)-1);
	CHECK_TEXT(marker.shell, "");
}

int main(void)
{
	if (!private_run() || mkdir(LOGINBOX_RUN, 0700) < 0)
		return 1;
	RUN(what_was_made_is_read);
	RUN(a_filter_that_the_marker_names_is_there_or_it_is_a_failure);
	RUN(a_marker_that_does_not_fit_is_not_made);
	RUN(without_a_marker_this_is_no_box);
	RUN(a_state_directory_that_a_user_may_not_enter_is_no_box);
	RUN(what_is_not_ours_is_a_failure_and_not_outside);
	RUN(a_marker_that_names_no_user_is_nobodys);
	return test_end();
}
