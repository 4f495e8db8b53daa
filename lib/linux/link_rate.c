#include "lib/linux/link.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define BURST_LEAST 65536 /* one packet of the largest size, also where it is segmented late */
#define BURST_PART 50     /* a fiftieth of a second at full speed */
#define QUEUE_PART 10     /* a tenth of a second waits, more is dropped */

/* A token bucket, tc-tbf(8); the kernel counts in bytes, so no table of times is needed. */
void link_add_rate(struct netlink_batch *batch, int index, uint64_t rate, const char *name)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC,
		.tcm_ifindex = index,
		.tcm_handle = 0x10000,
		.tcm_parent = TC_H_ROOT };
	uint64_t burst = rate / BURST_PART > BURST_LEAST ? rate / BURST_PART : BURST_LEAST;
	struct tc_tbf_qopt options = { 0 };

	options.rate.rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
	options.rate.linklayer = TC_LINKLAYER_ETHERNET;
	options.limit = (uint32_t)(rate / QUEUE_PART + burst);
	netlink_request(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
		"set rate of link", name);
	netlink_put_text(batch, TCA_KIND, "tbf");
	struct nlattr *nest = netlink_nest(batch, TCA_OPTIONS, NULL, 0);
	netlink_put(batch, TCA_TBF_PARMS, &options, sizeof(options));
	netlink_put_u32(batch, TCA_TBF_BURST, (uint32_t)burst);
	netlink_nest_end(batch, nest);
}
