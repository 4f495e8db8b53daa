#include "helper/keeper/verdict.h"
#include "lib/base/fdio.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/socket.h>

static struct account account = { .name = (char *)"alice", .uid = 2001, .gid = 2002 };

static struct plan plan_with(enum verdict verdict)
{
	struct plan plan = { .verdict = verdict, .account = &account, .mode = MODE_ENFORCE,
		.box = "student", .rule = "students", .rule_at = "/etc/x.conf:28",
		.home = (char *)"/home/alice", .no_new_privs = true };
	plan.limits[3] = (struct limit){ .set = true, .soft = 1, .hard = 2 };
	return plan;
}

static void each_verdict_has_its_answer(void)
{
	static const struct {
		enum verdict verdict;
		enum wire_answer answer;
	} pairs[] = { { VERDICT_IGNORE, WIRE_IGNORE }, { VERDICT_MONITOR, WIRE_MONITOR },
		{ VERDICT_BOX, WIRE_ENTER }, { VERDICT_DENY, WIRE_DENY } };
	struct wire_verdict out;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct plan plan = plan_with(pairs[i].verdict);
		verdict_of_plan(&out, &plan, "0123abcd");
		CHECK_NUMBER(out.answer, pairs[i].answer);
		CHECK(wire_is(&out.head, WIRE_VERDICT));
	}
	/* One that nobody has heard of lets nobody in. */
	struct plan plan = plan_with((enum verdict)77);
	verdict_of_plan(&out, &plan, "0123abcd");
	CHECK_NUMBER(out.answer, WIRE_DENY);
}

static void a_verdict_says_all_of_the_plan(void)
{
	struct wire_verdict out;
	struct plan plan = plan_with(VERDICT_BOX);

	verdict_of_plan(&out, &plan, "0123abcd");
	CHECK_TEXT(out.words, "box=student id=0123abcd rule=students@/etc/x.conf:28");
	CHECK_TEXT(out.mode, "enforce");
	CHECK_TEXT(out.home, "/home/alice");
	CHECK_NUMBER(out.uid, 2001);
	CHECK_NUMBER(out.gid, 2002);
	CHECK_NUMBER(out.no_new_privs, 1);
	CHECK_NUMBER(out.limits_set, 1 << 3);
	CHECK_NUMBER(out.limits[3].hard, 2);
}

static void a_failure_never_lets_anybody_in(void)
{
	struct wire_verdict out;
	struct plan plan = plan_with(VERDICT_BOX);
	static const int kinds[] = { FAIL_SYSTEM, FAIL_REFUSED, FAIL_POLICY, FAIL_USAGE, FAIL_UNKNOWN };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fail f = { .kind = kinds[i], .err = EIO, .step = "try" };
		verdict_of_fail(&out, NULL, &f);
		CHECK_NUMBER(out.answer, kinds[i] == FAIL_UNKNOWN ? WIRE_UNKNOWN : WIRE_FAILED);
		CHECK_TEXT(out.fail.step, "try");
		plan.on_error = ON_ERROR_DENY;
		verdict_of_fail(&out, &plan, &f);
		CHECK(out.answer == WIRE_FAILED || out.answer == WIRE_UNKNOWN);
	}
}

static void only_a_plan_that_says_so_is_let_in_without_its_box(void)
{
	struct wire_verdict out;
	struct fail f = { .kind = FAIL_SYSTEM, .err = EIO };
	struct plan plan = plan_with(VERDICT_BOX);

	plan.on_error = ON_ERROR_ALLOW;
	verdict_of_fail(&out, &plan, &f);
	CHECK_NUMBER(out.answer, WIRE_ALLOWED);
	plan.verdict = VERDICT_DENY;
	verdict_of_fail(&out, &plan, &f);
	CHECK_NUMBER(out.answer, WIRE_FAILED);
}

static void a_refusal_is_no_failure_that_could_be_allowed(void)
{
	struct wire_verdict out;
	struct plan plan = plan_with(VERDICT_BOX);
	static const int kinds[] = { FAIL_REFUSED, FAIL_POLICY, FAIL_USAGE, FAIL_UNKNOWN };

	plan.on_error = ON_ERROR_ALLOW;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fail f = { .kind = kinds[i] };
		verdict_of_fail(&out, &plan, &f);
		CHECK_NUMBER(out.answer, kinds[i] == FAIL_UNKNOWN ? WIRE_UNKNOWN : WIRE_FAILED);
	}
}

static void words_that_are_too_long_are_cut(void)
{
	static char home[3000];
	struct wire_verdict out;
	struct plan plan = plan_with(VERDICT_BOX);

	memset(home, 'h', sizeof(home) - 1);
	home[0] = '/';
	plan.home = home;
	memset(plan.why, 'w', sizeof(plan.why) - 1);
	verdict_of_plan(&out, &plan, "0123abcd");
	/* Half a path would be another path. */
	CHECK_TEXT(out.home, "");
	CHECK(memchr(out.why, '\0', sizeof(out.why)));
	CHECK(memchr(out.words, '\0', sizeof(out.words)));
}

static void it_arrives_with_or_without_a_descriptor(void)
{
	struct wire_verdict out, in;
	struct fdio_fds fds = { 0 };
	struct fail f = { 0 };
	struct plan plan = plan_with(VERDICT_BOX);
	int pair[2];

	CHECK_NUMBER(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	verdict_of_plan(&out, &plan, "0123abcd");
	for (int fd = -1; fd <= 0; fd++) {
		CHECK_NUMBER(verdict_send(pair[0], &out, &(struct verdict_with){ fd, -1, -1 }, &f), 0);
		CHECK_NUMBER(fdio_recv(pair[1], &in, sizeof(in), &fds, NULL, 0, &f), sizeof(in));
		CHECK_NUMBER(fds.n, fd + 1);
		CHECK(memcmp(&in, &out, sizeof(in)) == 0);
		fdio_fds_close(&fds);
	}
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	RUN(each_verdict_has_its_answer);
	RUN(a_verdict_says_all_of_the_plan);
	RUN(a_failure_never_lets_anybody_in);
	RUN(only_a_plan_that_says_so_is_let_in_without_its_box);
	RUN(a_refusal_is_no_failure_that_could_be_allowed);
	RUN(words_that_are_too_long_are_cut);
	RUN(it_arrives_with_or_without_a_descriptor);
	return test_end();
}
