/*
 * Any bytes as an answer of netlink: understood, or refused, and never read beyond their
 * end (each input lies at the end of its own allocation).
 *
 * With clang and -fsanitize=fuzzer this is a libFuzzer target; without, it changes and cuts
 * answers that are right, and runs the files of its command line.
 */
#include "lib/base/own.h"
#include "lib/linux/link.h"
#include "lib/linux/netlink.h"
#include "lib/linux/nft.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT 77
#define FIRST 1000
#define REQUESTS 3

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int take(const struct nlmsghdr *message, void *arg, struct fail *f)
{
	struct link_seen link;
	struct nft_seen chain;

	(void)arg;
	(void)f;
	if (link_read(&link, message) && (strlen(link.name) >= IFNAMSIZ || link.index <= 0))
		abort();
	if (nft_read_chain(&chain, message) && strlen(chain.name) >= sizeof(chain.name))
		abort();
	return 0;
}

static void judge(const uint8_t *bytes, size_t n, netlink_each *each)
{
	static const int pardon[REQUESTS] = { 0, EEXIST, 0 };
	struct netlink_wait wait = { .port = PORT,
		.first = FIRST,
		.n = REQUESTS,
		.pardon = pardon,
		.each = each };
	struct fail f = { 0 };
	/* As long as it is: a sanitizer, or the allocator's own checks, see what goes beyond. */
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, n);
	int result = netlink_judge(&wait, copy, n, &f);
	if ((result == 0) == fail_is_set(&f) || wait.done >> REQUESTS || wait.which >= REQUESTS ||
		wait.err < 0)
		abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	judge(bytes, n, take);
	judge(bytes, n, NULL);
	return 0;
}

#ifndef WITH_LIBFUZZER

static size_t n_inputs;

struct sample {
	uint8_t bytes[2048];
	size_t n;
};

static void add(struct sample *s, struct nl_msg *msg, uint32_t number)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);

	h->nlmsg_seq = FIRST + number;
	h->nlmsg_pid = PORT;
	memcpy(s->bytes + s->n, h, h->nlmsg_len);
	s->n += NLMSG_ALIGN(h->nlmsg_len);
	nlmsg_free(msg);
}

static void add_answer(struct sample *s, uint32_t number, int error)
{
	struct nl_msg *msg = nlmsg_alloc_simple(NLMSG_ERROR, 0);
	const struct nlmsgerr body = { .error = -error };

	nlmsg_append(msg, (void *)(uintptr_t)&body, sizeof(body), NLMSG_ALIGNTO);
	add(s, msg, number);
}

static void add_link(struct sample *s, uint32_t number)
{
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	const struct ifinfomsg head = { .ifi_index = 7 };
	const struct rtnl_link_stats64 stats = { .rx_bytes = 1 };

	nlmsg_append(msg, (void *)(uintptr_t)&head, sizeof(head), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, "lb7f3a91c2");
	nla_put_u32(msg, IFLA_GROUP, 0x6c123456);
	nla_put(msg, IFLA_STATS64, sizeof(stats), &stats);
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "veth");
	nla_nest_end(msg, info);
	add(s, msg, number);
}

static void add_chain(struct sample *s, uint32_t number)
{
	struct nl_msg *msg = nlmsg_alloc_simple(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, 0);
	const struct nfgenmsg head = { 0 };

	nlmsg_append(msg, (void *)(uintptr_t)&head, sizeof(head), NLMSG_ALIGNTO);
	nla_put_string(msg, NFTA_CHAIN_NAME, "n-lab-123456-from");
	nla_put_u32(msg, NFTA_CHAIN_USE, 12);
	add(s, msg, number);
}

static void run(const uint8_t *bytes, size_t n)
{
	LLVMFuzzerTestOneInput(bytes, n);
	n_inputs++;
}

static void change(struct sample *s)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 0x7f, 0x80, 0xfe, 0xff };

	run(s->bytes, s->n);
	for (size_t at = 0; at < s->n; at++) {
		uint8_t kept = s->bytes[at];
		run(s->bytes, at);
		for (size_t v = 0; v < sizeof(values); v++) {
			s->bytes[at] = values[v];
			run(s->bytes, s->n);
			/* Lengths are of two bytes, or four. */
			uint8_t next = s->bytes[at + 1];
			s->bytes[at + 1] = 0xff;
			run(s->bytes, s->n);
			s->bytes[at + 1] = next;
		}
		s->bytes[at] = kept;
	}
}

static void run_file(const char *path)
{
	static uint8_t bytes[1 << 20];
	OWN_FILE file = fopen(path, "re");

	if (!file)
		abort();
	run(bytes, fread(bytes, 1, sizeof(bytes), file));
}

int main(int argc, char **argv)
{
	struct sample answers = { 0 }, links = { 0 }, chains = { 0 };

	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	add_answer(&answers, 0, 0);
	add_answer(&answers, 1, EEXIST);
	add_answer(&answers, 2, ENODEV);
	add_link(&links, 0);
	add_link(&links, 0);
	add_answer(&links, 0, 0);
	add_chain(&chains, 1);
	add_answer(&chains, 1, 0);
	change(&answers);
	change(&links);
	change(&chains);
	printf("%zu inputs\nok any_bytes_are_understood_or_refused_as_an_answer_of_netlink\n",
		n_inputs);
	return 0;
}

#endif
