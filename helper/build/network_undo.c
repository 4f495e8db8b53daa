#include "helper/build/network_keep.h"

#include "helper/policy/network_rules.h"
#include "helper/state/note.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/link.h"
#include "lib/linux/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#define LOOK_NS 4000000L /* between two looks whether the kernel has taken a link away */

/* ---- one box --------------------------------------------------------------------------- */

bool network_box_lives(const struct place *place, const struct place_box *box)
{
	struct note note;
	struct fail f = { 0 };
	char boot[40];
	OWN_FD dir = place_box_open(place, box);

	/* Whoever cannot find out leaves what a living box needs. */
	if (dir < 0)
		return errno != ENOENT;
	if (note_read(dir, &note, &f) < 0)
		return f.err && f.err != ENOENT;
	if (note_boot(boot, sizeof(boot)) < 0)
		return true;
	return strcmp(boot, note.boot) == 0 &&
		(note_process_lives(&note.keeper) || note_process_lives(&note.init) ||
			place_box_answers(box));
}

/* What the host learnt of the port by hand: the neighbours on the bridge, the pins. */
static void forget_port(const struct lease *lease, struct nl_sock *sock)
{
	struct netlink_batch batch = { 0 };
	struct fail ignored = { 0 };
	struct link_seen bridge;
	uint8_t bytes[16];

	if (link_find(sock, lease->bridge, 0, &bridge, &ignored) < 0)
		return;
	for (int i = FOUR; i <= SIX; i++) {
		struct link_address address = { .family = i == SIX ? AF_INET6 : AF_INET,
			.bytes = bytes };
		if (inet_pton(address.family, lease->address[i], bytes) != 1)
			continue;
		link_remove_neighbour(&batch, bridge.index, &address, lease->bridge);
		netlink_pardon(&batch, ENOENT);
	}
	netlink_send(sock, &batch, &ignored);
}

/* The fields of a pin: the port's name, its hardware address, the address. */
#define PIN_MAC IFNAMSIZ
#define PIN_ADDRESS (PIN_MAC + 8)

/* One element for each address of the lease; returns how many. */
static size_t pins_of(const struct lease *lease, char set[2][80], struct nft_element out[2])
{
	size_t n = 0;

	for (int i = FOUR; i <= SIX; i++) {
		struct nft_element pin = { .family = NFPROTO_BRIDGE, .table = NETWORK_TABLE,
			.set = set[i], .size = PIN_ADDRESS + (i == SIX ? 16 : 4) };
		if (!lease->address[i][0] ||
			inet_pton(i == SIX ? AF_INET6 : AF_INET, lease->address[i],
				pin.key + PIN_ADDRESS) != 1)
			continue;
		network_rules_name(set[i], sizeof(set[i]), lease->network, lease->group,
			i == SIX ? "6" : "4");
		lease_link(lease, (char *)pin.key);
		lease_mac(lease, pin.key + PIN_MAC);
		out[n++] = pin;
	}
	return n;
}

int network_pin(const struct lease *lease, struct fail *f)
{
	struct nft_element pins[2];
	char set[2][80];

	return nft_add_elements(pins, pins_of(lease, set, pins), f);
}

int network_unpin(const struct lease *lease, struct fail *f)
{
	struct nft_element pins[2];
	char set[2][80];

	return nft_remove_elements(pins, pins_of(lease, set, pins), f);
}

/* Whether the box's end of the link has taken the host's along, as its namespace ended. */
static bool went_by_itself(const struct lease *lease, int64_t until_ms)
{
	const struct timespec nap = { .tv_nsec = LOOK_NS };
	char link[IFNAMSIZ], name[IFNAMSIZ];

	lease_link(lease, link);
	while (fdio_now_ms() < until_ms) {
		nanosleep(&nap, NULL);
		if (!if_indextoname((unsigned)lease->index, name) || strcmp(name, link) != 0)
			return true;
	}
	return false;
}

static void remove_port(const struct place *place, const struct lease *lease, bool gone)
{
	struct netlink_batch batch = { 0 };
	struct fail f = { 0 };
	struct link_seen seen;
	char link[IFNAMSIZ];
	OWN_NETLINK sock = NULL;

	lease_link(lease, link);
	if ((gone && !lease->bridge[0]) || netlink_open(&sock, NETLINK_ROUTE, &f) < 0)
		return;
	/* By index, and only while it has our name and our number. */
	if (!gone && link_find(sock, NULL, lease->index, &seen, &f) == 0 && strcmp(seen.name, link) == 0 &&
		seen.group == lease->group) {
		link_remove(&batch, seen.index, link);
		netlink_send(sock, &batch, &f);
	}
	if (lease->bridge[0]) {
		if (!lease_is_anothers(place, lease))
			forget_port(lease, sock);
		network_unpin(lease, &f);
	}
}

void network_undo(const struct place *place, const struct lease *lease, int64_t until_ms)
{
	remove_port(place, lease, went_by_itself(lease, until_ms));
	lease_free(place, lease);
}

static int sweep_one(const struct place *place, const struct lease *lease, void *arg)
{
	unsigned *n = arg;

	if (network_box_lives(place, &lease->box))
		return 0;
	network_undo(place, lease, 0);
	++*n;
	return 0;
}

unsigned network_sweep(const struct place *place, const char *network)
{
	unsigned n = 0;

	lease_each(place, network, sweep_one, &n);
	return n;
}
