#include "lib/linux/netlink.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 5000 /* the kernel answers while it is asked: only something broken takes longer */
#define ANSWER_MAX 32768 /* as iproute2 has it: the kernel fills no more in one datagram */

int netlink_open(struct nl_sock **out, int protocol, struct fail *f)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (!sock)
		return fail_err(f, ENOMEM, "open netlink socket", "");
	int err = nl_connect(sock, protocol);
	if (err < 0) {
		nl_socket_free(sock);
		return fail_say(f, FAIL_SYSTEM, "open netlink socket", "", "%s", nl_geterror(err));
	}
	*out = sock;
	return 0;
}

void netlink_close(struct nl_sock **sock)
{
	if (*sock)
		nl_socket_free(*sock);
	*sock = NULL;
}

int netlink_fd(const struct nl_sock *sock)
{
	return nl_socket_get_fd(sock);
}

static struct nl_msg *last(const struct netlink_batch *batch)
{
	return batch->err ? NULL : batch->msg[batch->n - 1];
}

void netlink_request(struct netlink_batch *batch, int type, int flags, const void *head,
	size_t size, const char *step, const char *subject)
{
	size_t i = batch->n;
	struct nl_msg *msg = i == NETLINK_REQUESTS || batch->err
		? NULL
		: nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (!msg) {
		batch->err = 1;
		return;
	}
	batch->msg[i] = msg;
	snprintf(batch->step[i], sizeof(batch->step[i]), "%s", step);
	snprintf(batch->subject[i], sizeof(batch->subject[i]), "%s", subject);
	batch->pardon[i] = 0;
	batch->n++;
	if (nlmsg_append(msg, (void *)(uintptr_t)head, size, NLMSG_ALIGNTO) < 0)
		batch->err = 1;
}

void netlink_pardon(struct netlink_batch *batch, int err)
{
	if (last(batch))
		batch->pardon[batch->n - 1] = err;
}

void netlink_quiet(struct netlink_batch *batch)
{
	if (last(batch))
		batch->quiet |= 1u << (batch->n - 1);
}

void netlink_put(struct netlink_batch *batch, int type, const void *bytes, size_t size)
{
	struct nl_msg *msg = last(batch);

	if (msg && (size > UINT16_MAX - NLA_HDRLEN || nla_put(msg, type, (int)size, bytes) < 0))
		batch->err = 1;
}

void netlink_put_u32(struct netlink_batch *batch, int type, uint32_t number)
{
	netlink_put(batch, type, &number, sizeof(number));
}

void netlink_put_text(struct netlink_batch *batch, int type, const char *text)
{
	netlink_put(batch, type, text, strlen(text) + 1);
}

struct nlattr *netlink_nest(struct netlink_batch *batch, int type, const void *head, size_t size)
{
	struct nl_msg *msg = last(batch);
	struct nlattr *nest = msg ? nla_nest_start(msg, type) : NULL;

	if (!nest || (size && nlmsg_append(msg, (void *)(uintptr_t)head, size, NLMSG_ALIGNTO) < 0))
		batch->err = 1;
	return nest;
}

void netlink_nest_end(struct netlink_batch *batch, struct nlattr *nest)
{
	struct nl_msg *msg = last(batch);

	if (msg && nest)
		nla_nest_end(msg, nest);
}

void netlink_drop(struct netlink_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		nlmsg_free(batch->msg[i]);
	batch->n = 0;
	batch->quiet = 0;
}

/* ---- answers -------------------------------------------------------------------------- */

static int strange(struct fail *f, const char *what)
{
	return fail_say(f, FAIL_SYSTEM, "understand netlink", "", "%s", what);
}

static int judge_error(struct netlink_wait *wait, size_t i, const struct nlmsghdr *h,
	struct fail *f)
{
	int32_t error;

	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(error))
		return strange(f, "an acknowledgement is too short");
	memcpy(&error, (const char *)h + NLMSG_HDRLEN, sizeof(error));
	if (error > 0 || error < -4095)
		return strange(f, "an acknowledgement has no error number");
	wait->done |= 1u << i;
	if (error && !wait->err && !(wait->pardon && wait->pardon[i] == -error)) {
		wait->err = -error;
		wait->which = i;
	}
	return 0;
}

static int judge_one(struct netlink_wait *wait, const struct nlmsghdr *h, struct fail *f)
{
	uint32_t i = h->nlmsg_seq - wait->first;

	if (h->nlmsg_pid != wait->port || i >= wait->n)
		return strange(f, "an answer to somebody else");
	if (wait->done & ~wait->quiet & 1u << i)
		return strange(f, "a second answer");
	switch (h->nlmsg_type) {
	case NLMSG_ERROR:
		return judge_error(wait, i, h, f);
	case NLMSG_DONE:
		wait->done |= 1u << i;
		return 0;
	case NLMSG_NOOP:
		return 0;
	case NLMSG_OVERRUN:
		return strange(f, "an answer was lost");
	default:
		if (!wait->each)
			return strange(f, "an answer that was not asked for");
		/* What an interrupted dump says may be of two times. */
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return strange(f, "the list changed while it was read");
		return wait->each(h, wait->arg, f);
	}
}

int netlink_judge(struct netlink_wait *wait, const void *bytes, size_t size, struct fail *f)
{
	const char *at = bytes;

	if (size == 0)
		return strange(f, "an empty answer");
	while (size > 0) {
		struct nlmsghdr h;
		if (size < sizeof(h))
			return strange(f, "an answer is cut");
		memcpy(&h, at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > size)
			return strange(f, "an answer is cut");
		if (judge_one(wait, (const struct nlmsghdr *)(const void *)at, f) < 0)
			return -1;
		size_t step = NLMSG_ALIGN(h.nlmsg_len);
		if (step > size)
			step = size;
		at += step;
		size -= step;
	}
	return 0;
}

/*
 * Waits for an answer. 1 when one is there; 0 when none will come: after an error nfnetlink
 * leaves the requests behind it unanswered; -1 when none came for a long time.
 */
static int await(struct nl_sock *sock, const struct netlink_wait *wait, struct fail *f)
{
	struct pollfd fd = { .fd = nl_socket_get_fd(sock), .events = POLLIN };
	int n;

	do
		n = poll(&fd, 1, wait->err ? 0 : ANSWER_MS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_sys(f, "hear netlink", "");
	return n || wait->err ? n : fail_err(f, ETIMEDOUT, "hear netlink", "");
}

static int hear(struct nl_sock *sock, struct netlink_wait *wait, struct fail *f)
{
	/* Aligned as the headers in it must be. */
	uint32_t *bytes = malloc(ANSWER_MAX);
	int result = bytes ? 0 : fail_err(f, ENOMEM, "hear netlink", "");

	while (result == 0 && wait->done != (wait->n == 32 ? ~0u : (1u << wait->n) - 1)) {
		struct sockaddr_nl from = { 0 };
		struct iovec part = { bytes, ANSWER_MAX };
		struct msghdr head = { .msg_name = &from, .msg_namelen = sizeof(from),
			.msg_iov = &part, .msg_iovlen = 1 };
		int there = await(sock, wait, f);
		if (there <= 0) {
			result = there;
			break;
		}
		ssize_t n = recvmsg(nl_socket_get_fd(sock), &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			result = fail_sys(f, "hear netlink", "");
		else if (head.msg_flags & MSG_TRUNC)
			result = strange(f, "an answer is cut");
		else if (from.nl_pid == 0) /* others than the kernel may write to the socket, too */
			result = netlink_judge(wait, bytes, (size_t)n, f);
	}
	free(bytes);
	return result;
}

/* ---- requests ---------------------------------------------------------------------------- */

/* All requests in one datagram, numbered; returns the first number, 0 when it failed. */
static uint32_t say(struct nl_sock *sock, struct netlink_batch *batch, bool dump, struct fail *f)
{
	struct iovec parts[NETLINK_REQUESTS];
	uint32_t first = 0;

	for (size_t i = 0; i < batch->n; i++) {
		struct nlmsghdr *h = nlmsg_hdr(batch->msg[i]);
		/* Messages in a row begin at multiples of four. */
		parts[i] = (struct iovec){ h, NLMSG_ALIGN(h->nlmsg_len) };
		h->nlmsg_seq = nl_socket_use_seq(sock);
		h->nlmsg_pid = nl_socket_get_local_port(sock);
		if (!(batch->quiet & 1u << i) && (!dump || !(h->nlmsg_flags & NLM_F_DUMP)))
			h->nlmsg_flags |= NLM_F_ACK;
		first = i ? first : h->nlmsg_seq;
	}
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr head = { .msg_name = &kernel, .msg_namelen = sizeof(kernel),
		.msg_iov = parts, .msg_iovlen = batch->n };
	if (sendmsg(nl_socket_get_fd(sock), &head, 0) < 0) {
		fail_sys(f, batch->step[0], batch->subject[0]);
		return 0;
	}
	return first;
}

static int converse(struct nl_sock *sock, struct netlink_batch *batch, netlink_each *each,
	void *arg, struct fail *f)
{
	if (batch->err)
		return fail_err(f, EMSGSIZE, "make netlink request", "");
	if (batch->n == 0)
		return 0;
	uint32_t first = say(sock, batch, each, f);
	struct netlink_wait wait = { .port = nl_socket_get_local_port(sock), .first = first,
		.n = batch->n, .done = batch->quiet, .quiet = batch->quiet,
		.pardon = batch->pardon, .each = each, .arg = arg };
	if (!first || hear(sock, &wait, f) < 0)
		return -1;
	return wait.err ? fail_err(f, wait.err, batch->step[wait.which], batch->subject[wait.which])
			: 0;
}

int netlink_send(struct nl_sock *sock, struct netlink_batch *batch, struct fail *f)
{
	int result = converse(sock, batch, NULL, NULL, f);
	netlink_drop(batch);
	return result;
}

int netlink_ask(struct nl_sock *sock, struct netlink_batch *batch, netlink_each *each, void *arg,
	struct fail *f)
{
	int result = converse(sock, batch, each, arg, f);
	netlink_drop(batch);
	return result;
}
