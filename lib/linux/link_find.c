#include "lib/base/text.h"
#include "lib/linux/link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* The text of an attribute, when it ends inside it and fits. */
static bool read_text(const struct rtattr *a, char *out, size_t size)
{
	size_t n = RTA_PAYLOAD(a);

	return n > 0 && n <= size && memchr(RTA_DATA(a), '\0', n) &&
		text_copy(out, size, RTA_DATA(a));
}

static void read_info(struct link_seen *out, const struct rtattr *info)
{
	int left = (int)RTA_PAYLOAD(info);

	for (const struct rtattr *a = RTA_DATA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_INFO_KIND)
			read_text(a, out->kind, sizeof(out->kind));
}

static void read_counters(struct link_seen *out, const struct rtattr *a)
{
	struct rtnl_link_stats64 stats;

	if (RTA_PAYLOAD(a) < offsetof(struct rtnl_link_stats64, rx_errors))
		return;
	memcpy(&stats, RTA_DATA(a), offsetof(struct rtnl_link_stats64, rx_errors));
	out->rx_bytes = stats.rx_bytes;
	out->tx_bytes = stats.tx_bytes;
	out->rx_packets = stats.rx_packets;
	out->tx_packets = stats.tx_packets;
}

bool link_read(struct link_seen *out, const struct nlmsghdr *message)
{
	const struct ifinfomsg *head = NLMSG_DATA(message);
	int left = (int)message->nlmsg_len - (int)NLMSG_SPACE(sizeof(*head));

	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len > INT32_MAX || left < 0)
		return false;
	*out = (struct link_seen){ .index = head->ifi_index, .flags = head->ifi_flags };
	for (const struct rtattr *a = IFLA_RTA(head); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			read_text(a, out->name, sizeof(out->name));
			break;
		case IFLA_GROUP:
			if (RTA_PAYLOAD(a) == sizeof(out->group))
				memcpy(&out->group, RTA_DATA(a), sizeof(out->group));
			break;
		case IFLA_LINKINFO:
			read_info(out, a);
			break;
		case IFLA_STATS64:
			read_counters(out, a);
			break;
		default:
			break;
		}
	}
	return out->index > 0 && out->name[0];
}

static int take(const struct nlmsghdr *message, void *arg, struct fail *f)
{
	if (!link_read(arg, message))
		return fail_say(f, FAIL_SYSTEM, "look at link", "", "the kernel's answer is strange");
	return 0;
}

int link_find(struct nl_sock *sock, const char *name, int index, struct link_seen *out,
	struct fail *f)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_batch batch = { 0 };

	*out = (struct link_seen){ 0 };
	netlink_request(&batch, RTM_GETLINK, 0, &head, sizeof(head), "look at link",
		name ? name : "");
	if (name)
		netlink_put_text(&batch, IFLA_IFNAME, name);
	if (netlink_ask(sock, &batch, take, out, f) < 0)
		return -1;
	return out->index ? 0 : fail_say(f, FAIL_SYSTEM, "look at link", name ? name : "", "no answer");
}

struct visit {
	int (*each)(const struct link_seen *link, void *arg);
	void *arg;
	int answer;
};

static int visit(const struct nlmsghdr *message, void *arg, struct fail *f)
{
	struct visit *v = arg;
	struct link_seen link;

	if (take(message, &link, f) < 0)
		return -1;
	if (!v->answer)
		v->answer = v->each(&link, v->arg);
	return 0;
}

int link_each(struct nl_sock *sock, int (*each)(const struct link_seen *link, void *arg), void *arg,
	struct fail *f)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct netlink_batch batch = { 0 };
	struct visit v = { each, arg, 0 };

	netlink_request(&batch, RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head), "list links", "");
	return netlink_ask(sock, &batch, visit, &v, f) < 0 ? -1 : v.answer;
}
