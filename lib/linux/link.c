#include "lib/linux/link.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#define LOOPBACK 1

static int raise_link(struct nl_sock *sock, int index)
{
	struct ifinfomsg up = { .ifi_family = AF_UNSPEC,
		.ifi_index = index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST);

	if (!msg)
		return -NLE_NOMEM;
	int err = nlmsg_append(msg, &up, sizeof(up), NLMSG_ALIGNTO);
	if (err < 0) {
		nlmsg_free(msg);
		return err;
	}
	return nl_send_sync(sock, msg); /* frees the message, waits for the answer */
}

int link_loopback_up(struct fail *f)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (!sock)
		return fail_say(f, FAIL_SYSTEM, "open netlink socket", "lo", "out of memory");
	int err = nl_connect(sock, NETLINK_ROUTE);
	if (err == 0)
		err = raise_link(sock, LOOPBACK);
	nl_socket_free(sock);
	return err < 0 ? fail_say(f, FAIL_SYSTEM, "bring link up", "lo", "%s", nl_geterror(err)) : 0;
}
