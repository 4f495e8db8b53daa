#include "helper/build/network_keep.h"

#include "helper/policy/network_rules.h"
#include "helper/state/note.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/link.h"
#include "lib/linux/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>


/* ---- one box --------------------------------------------------------------------------- */

bool network_box_lives(const struct place *place, const struct place_box *box)
{
	struct note note;
	struct fail f = { 0 };
	char boot[40];
	OWN_FD dir = place_box_open(place, box);

	return dir >= 0 && note_read(dir, &note, &f) == 0 && note_boot(boot, sizeof(boot)) == 0 &&
		strcmp(boot, note.boot) == 0 &&
		(note_process_lives(&note.keeper) || note_process_lives(&note.init));
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

void network_pin_text(const struct lease *lease, const char *verb, char *out, size_t size)
{
	struct text t = text_in(out, size);
	char link[IFNAMSIZ];

	lease_link(lease, link);
	for (int i = FOUR; i <= SIX; i++)
		if (lease->address[i][0])
			text_add(&t,
				"%s element bridge " NETWORK_TABLE " n-%s-%06x-%d "
				"{ \"%s\" . 02:6c:%02x:%02x:%02x:%02x . %s }\n",
				verb, lease->network, lease->group & ~NETWORK_GROUP_MASK,
				i == SIX ? 6 : 4, link, (uint8_t)(lease->slot >> 24),
				(uint8_t)(lease->slot >> 16), (uint8_t)(lease->slot >> 8),
				(uint8_t)lease->slot, lease->address[i]);
}

void network_undo(const struct place *place, const struct lease *lease)
{
	struct netlink_batch batch = { 0 };
	struct fail f = { 0 };
	struct link_seen seen;
	char link[IFNAMSIZ], text[512];
	OWN_NETLINK sock = NULL;

	lease_link(lease, link);
	if (netlink_open(&sock, NETLINK_ROUTE, &f) < 0)
		return;
	/* By index, and only while it has our name and our number. */
	if (link_find(sock, NULL, lease->index, &seen, &f) == 0 && strcmp(seen.name, link) == 0 &&
		seen.group == lease->group) {
		link_remove(&batch, seen.index, link);
		netlink_send(sock, &batch, &f);
	}
	if (lease->bridge[0]) {
		forget_port(lease, sock);
		network_pin_text(lease, "delete", text, sizeof(text));
		nft_run(text, &f);
	}
	lease_free(place, lease);
}

static int sweep_one(const struct place *place, const struct lease *lease, void *arg)
{
	unsigned *n = arg;

	if (network_box_lives(place, &lease->box))
		return 0;
	network_undo(place, lease);
	++*n;
	return 0;
}

unsigned network_sweep(const struct place *place, const char *network)
{
	unsigned n = 0;

	lease_each(place, network, sweep_one, &n);
	return n;
}
