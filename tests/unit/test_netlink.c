#include "lib/linux/link.h"
#include "lib/linux/netlink.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 9
#define FIRST 5

static struct netlink_wait wait_for(size_t n)
{
	return (struct netlink_wait){ .port = PORT, .first = FIRST, .n = n };
}

struct answer {
	struct nlmsghdr head;
	struct nlmsgerr error;
};

static struct answer answer(uint32_t seq, int error)
{
	return (struct answer){ { sizeof(struct answer), NLMSG_ERROR, 0, seq, PORT },
		{ .error = -error } };
}

static void every_request_wants_its_answer(void)
{
	struct netlink_wait wait = wait_for(2);
	struct fail f = { 0 };
	struct answer a = answer(FIRST, 0), b = answer(FIRST + 1, 0);

	CHECK_NUMBER(netlink_judge(&wait, &b, sizeof(b), &f), 0);
	CHECK_NUMBER(wait.done, 2);
	CHECK_NUMBER(netlink_judge(&wait, &a, sizeof(a), &f), 0);
	CHECK_NUMBER(wait.done, 3);
	CHECK_NUMBER(wait.err, 0);
}

static void the_first_error_counts_unless_it_is_pardoned(void)
{
	const int pardon[3] = { EEXIST, 0, 0 };
	struct netlink_wait wait = wait_for(3);
	struct fail f = { 0 };
	struct answer all[] = { answer(FIRST, EEXIST), answer(FIRST + 1, ENODEV),
		answer(FIRST + 2, EPERM) };

	wait.pardon = pardon;
	CHECK_NUMBER(netlink_judge(&wait, all, sizeof(all), &f), 0);
	CHECK_NUMBER(wait.err, ENODEV);
	CHECK_NUMBER(wait.which, 1);
}

static void a_quiet_request_is_heard_only_when_it_fails(void)
{
	struct netlink_wait wait = wait_for(2);
	struct fail f = { 0 };
	struct answer done = answer(FIRST + 1, 0), failed = answer(FIRST, EPERM);

	wait.quiet = wait.done = 1;
	CHECK_NUMBER(netlink_judge(&wait, &done, sizeof(done), &f), 0);
	CHECK_NUMBER(wait.done, 3);
	CHECK_NUMBER(wait.err, 0);
	CHECK_NUMBER(netlink_judge(&wait, &failed, sizeof(failed), &f), 0);
	CHECK_NUMBER(wait.err, EPERM);
	CHECK_NUMBER(wait.which, 0);
	/* Of others a second answer stays odd. */
	CHECK_NUMBER(netlink_judge(&wait, &done, sizeof(done), &f), -1);
}

static void refuse(struct answer bad, size_t size, const char *why)
{
	struct netlink_wait wait = wait_for(2);
	struct fail f = { 0 };

	CHECK_NUMBER(netlink_judge(&wait, &bad, size, &f), -1);
	CHECK_TEXT(f.rule, why);
}

static void what_is_strange_is_refused(void)
{
	struct answer bad = answer(FIRST, 0);
	struct answer twice[] = { answer(FIRST, 0), answer(FIRST, 0) };
	struct netlink_wait wait = wait_for(2);
	struct fail f = { 0 };

	refuse(bad, 0, "an empty answer");
	refuse(bad, 15, "an answer is cut");
	refuse(bad, sizeof(bad) - 1, "an answer is cut");
	bad.head.nlmsg_len = 0;
	refuse(bad, sizeof(bad), "an answer is cut");
	bad.head.nlmsg_len = UINT32_MAX;
	refuse(bad, sizeof(bad), "an answer is cut");
	bad.head.nlmsg_len = NLMSG_HDRLEN;
	refuse(bad, sizeof(bad), "an acknowledgement is too short");
	bad = answer(FIRST + 2, 0);
	refuse(bad, sizeof(bad), "an answer to somebody else");
	bad = answer(FIRST - 1, 0);
	refuse(bad, sizeof(bad), "an answer to somebody else");
	bad = answer(FIRST, 0);
	bad.head.nlmsg_pid = PORT + 1;
	refuse(bad, sizeof(bad), "an answer to somebody else");
	bad = answer(FIRST, -1);
	refuse(bad, sizeof(bad), "an acknowledgement has no error number");
	bad = answer(FIRST, 0);
	bad.head.nlmsg_type = RTM_NEWLINK;
	refuse(bad, sizeof(bad), "an answer that was not asked for");
	bad.head.nlmsg_type = NLMSG_OVERRUN;
	refuse(bad, sizeof(bad), "an answer was lost");
	CHECK_NUMBER(netlink_judge(&wait, twice, sizeof(twice), &f), -1);
	CHECK_TEXT(f.rule, "a second answer");
}

static void a_request_that_is_too_large_is_never_sent(void)
{
	struct netlink_batch batch = { 0 };
	struct ifinfomsg head = { 0 };
	struct fail f = { 0 };
	OWN_NETLINK sock = NULL;
	char *large = calloc(1, 70000);

	CHECK_NUMBER(netlink_open(&sock, NETLINK_ROUTE, &f), 0);
	netlink_request(&batch, RTM_NEWLINK, 0, &head, sizeof(head), "try", "");
	netlink_put(&batch, 1, large, 70000);
	CHECK_NUMBER(netlink_send(sock, &batch, &f), -1);
	CHECK_NUMBER(f.err, EMSGSIZE);
	f = (struct fail){ 0 };
	batch = (struct netlink_batch){ 0 };
	for (int i = 0; i <= NETLINK_REQUESTS; i++)
		netlink_request(&batch, RTM_NEWLINK, 0, &head, sizeof(head), "try", "");
	CHECK_NUMBER(netlink_send(sock, &batch, &f), -1);
	CHECK_NUMBER(f.err, EMSGSIZE);
	free(large);
}

static void the_kernel_answers_by_step_and_subject(void)
{
	struct netlink_batch batch = { 0 };
	struct fail f = { 0 };
	struct link_seen link;
	OWN_NETLINK sock = NULL;

	if (unshare(CLONE_NEWNET) < 0) {
		test_skip("no network namespace can be made");
		return;
	}
	CHECK_NUMBER(netlink_open(&sock, NETLINK_ROUTE, &f), 0);
	link_up(&batch, 1, LINK_PLAIN, "lo");
	link_up(&batch, 4711, LINK_PLAIN, "lb1");
	link_remove(&batch, 4712, "lb2");
	CHECK_NUMBER(netlink_send(sock, &batch, &f), -1);
	CHECK_NUMBER(f.err, ENODEV);
	CHECK_TEXT(f.step, "bring link up");
	CHECK_TEXT(f.subject, "lb1");
	f = (struct fail){ 0 };
	CHECK_NUMBER(link_find(sock, "lo", 0, &link, &f), 0);
	CHECK_NUMBER(link.index, 1);
	CHECK(link.flags & IFF_UP);
	CHECK_NUMBER(link_find(sock, "lb1", 0, &link, &f), -1);
	CHECK_NUMBER(f.err, ENODEV);
}

/* nfnetlink answers the first of several requests that are not allowed, and no other: the
 * wait for the others once had no end, with the lock of all networks held. */
static void a_refusal_of_all_is_not_waited_for_again(void)
{
	struct netlink_batch batch = { 0 };
	struct nl_sock *sock = NULL;
	struct fail f = { 0 };
	const struct nfgenmsg head = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		if (setresuid(65534, 65534, 65534) < 0 || netlink_open(&sock, NETLINK_NETFILTER, &f) < 0)
			_exit(2);
		for (int i = 0; i < 3; i++)
			netlink_request(&batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP, &head,
				sizeof(head), "list tables", "");
		int result = netlink_send(sock, &batch, &f);
		netlink_close(&sock);
		_exit(result == -1 && f.err == EPERM ? 0 : 1);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_NUMBER(status, 0);
}

int main(void)
{
	RUN(every_request_wants_its_answer);
	RUN(the_first_error_counts_unless_it_is_pardoned);
	RUN(a_quiet_request_is_heard_only_when_it_fails);
	RUN(what_is_strange_is_refused);
	RUN(a_request_that_is_too_large_is_never_sent);
	RUN(the_kernel_answers_by_step_and_subject);
	RUN(a_refusal_of_all_is_not_waited_for_again);
	return test_end();
}
