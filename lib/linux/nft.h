/*
 * nft.h - rules of the kernel's packet filter.
 *
 * Rules are changed by libnftables, in a child process that loads it for the purpose: logins
 * that change no rule do not pay for it, and what it allocates goes with the child. Elements
 * of sets are changed, and whether rules are there is asked, over netlink alone.
 *
 * Uses: lib/base, lib/linux/netlink; libnftables (nft(8)).
 */
#ifndef LIB_LINUX_NFT_H
#define LIB_LINUX_NFT_H

#include "lib/base/fail.h"

#include <stdbool.h>
#include <stddef.h>

/* Carries out commands of nft(8), a line each, as one transaction: all of them or none. */
int nft_run(const char *commands, struct fail *f);

/* One chain, and the rules that must be in it. */
struct nft_chain {
	int family; /* NFPROTO_INET, NFPROTO_BRIDGE */
	char table[32], chain[80];
	unsigned rules;
};

/* An element of a set: the fields of its key one after the other, each with zeros up to a
 * multiple of four bytes (struct nft_set_ext of the kernel; nft(8), CONCATENATIONS). */
struct nft_element {
	int family;
	const char *table, *set;
	unsigned char key[48];
	size_t size;
};

/*
 * Adds elements, or takes them away, as one transaction, over netlink alone: a login changes
 * no rule for it. One that is there already may be added again. -1 with `f`: none was changed.
 */
int nft_add_elements(const struct nft_element *elements, size_t n, struct fail *f);
int nft_remove_elements(const struct nft_element *elements, size_t n, struct fail *f);

/* 1: all chains are there with so many rules each; 0: not so; -1 could not find out. */
int nft_has_chains(const struct nft_chain *chains, size_t n, struct fail *f);

/* Calls `each` for every chain of the table. -1 failed. */
int nft_each_chain(int family, const char *table, void (*each)(const char *chain, void *arg),
	void *arg, struct fail *f);

/* Reads one message NFT_MSG_NEWCHAIN; false when it is none or malformed. Pure. */
struct nlmsghdr;
struct nft_seen {
	char name[80];
	unsigned use; /* rules in it */
};
bool nft_read_chain(struct nft_seen *out, const struct nlmsghdr *message);

#endif
