/*
 * netlink.h - requests to the kernel's netlink, several in one sendmsg(2), each one
 * acknowledged.
 *
 * Answers are read strictly: a message of another sender, of another request, too short for
 * its kind or cut is a failure, never ignored and never taken for a yes.
 *
 * Uses: lib/base; libnl-3 (netlink(7)).
 */
#ifndef LIB_LINUX_NETLINK_H
#define LIB_LINUX_NETLINK_H

#include "lib/base/fail.h"

#include <netlink/msg.h>
#include <stddef.h>
#include <stdint.h>

struct nl_sock;

#define NETLINK_REQUESTS 24

/* Requests that go out together, in this order. */
struct netlink_batch {
	struct nl_msg *msg[NETLINK_REQUESTS];
	char step[NETLINK_REQUESTS][48], subject[NETLINK_REQUESTS][64];
	int pardon[NETLINK_REQUESTS]; /* an errno that counts as done, 0 for none */
	uint32_t quiet;               /* a bit for each that is answered only when it fails */
	size_t n;
	int err; /* a request could not be made: the batch is never sent */
};

/* A socket in the caller's network namespace; -1 fails. `protocol` is NETLINK_ROUTE ... */
int netlink_open(struct nl_sock **out, int protocol, struct fail *f);

void netlink_close(struct nl_sock **sock);
#define OWN_NETLINK __attribute__((cleanup(netlink_close))) struct nl_sock *

/* The same socket's descriptor, for ioctl(2). */
int netlink_fd(const struct nl_sock *sock);

/*
 * Appends a request of a kind with its fixed header copied in. What follows adds to the last
 * request; when memory is short, or too much is added, the batch remembers that it cannot be
 * sent, and netlink_send() says so.
 */
void netlink_request(struct netlink_batch *batch, int type, int flags, const void *head,
	size_t size, const char *step, const char *subject);

/* This errno as the answer to the last request is no failure. */
void netlink_pardon(struct netlink_batch *batch, int err);

/* The last request is answered only when it fails: the ends of a transaction of nfnetlink. */
void netlink_quiet(struct netlink_batch *batch);

void netlink_put(struct netlink_batch *batch, int type, const void *bytes, size_t size);
void netlink_put_u32(struct netlink_batch *batch, int type, uint32_t number);
void netlink_put_text(struct netlink_batch *batch, int type, const char *text);

/* Begins a nest of attributes, with `size` bytes of a header of its own. */
struct nlattr *netlink_nest(struct netlink_batch *batch, int type, const void *head, size_t size);
void netlink_nest_end(struct netlink_batch *batch, struct nlattr *nest);

/*
 * Sends all and waits for every answer, each for a few seconds at most; the first that is an
 * error fails. Frees the batch.
 */
int netlink_send(struct nl_sock *sock, struct netlink_batch *batch, struct fail *f);

void netlink_drop(struct netlink_batch *batch);

/* One message of an answer; not 0 ends the reading and is returned. */
typedef int netlink_each(const struct nlmsghdr *message, void *arg, struct fail *f);

/* Sends the one request of the batch and gives each message of its answer to `each`. */
int netlink_ask(struct nl_sock *sock, struct netlink_batch *batch, netlink_each *each, void *arg,
	struct fail *f);

/* What is awaited: answers to the requests first to first + n - 1 of the socket `port`. */
struct netlink_wait {
	uint32_t port, first;
	size_t n;
	uint32_t done;  /* a bit for each */
	uint32_t quiet; /* those from which only a failure is heard */
	int err;       /* the first errno that counts, 0 */
	size_t which;  /* whose */
	const int *pardon;
	netlink_each *each; /* NULL: only acknowledgements are expected */
	void *arg;
};

/*
 * Judges one datagram of the kernel's. Returns 0 when it is well formed, -1 with `f`
 * otherwise. Pure.
 */
int netlink_judge(struct netlink_wait *wait, const void *bytes, size_t size, struct fail *f);

#endif
