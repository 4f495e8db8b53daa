/* What the host's packet filter does to boxes that have a network, and what they left in it. */
#include "helper/admin/doctor.h"
#include "helper/admin/run.h"
#include "helper/build/network_keep.h"
#include "helper/policy/network_rules.h"
#include "helper/state/place.h"
#include "lib/base/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NFT "/usr/sbin/nft"
#define RULES_MAX 262144

/*
 * Base chains that drop what is forwarded, in tables that are not ours: an accept of ours
 * does not outweigh their drop. `nft list chains` prints
 *	table ip filter {
 *		chain FORWARD {
 *			type filter hook forward priority filter; policy drop;
 */
static void check_forwarding(struct findings *out, const char *network, char *rules)
{
	char table[120] = "";
	char *save = NULL;

	for (char *line = strtok_r(rules, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "table ", 6) == 0)
			snprintf(table, sizeof(table), "%.*s", (int)strcspn(line, "{"), line);
		else if (strstr(line, "hook forward") && strstr(line, "policy drop") &&
			!strstr(table, " " NETWORK_TABLE " "))
			findings_add(out, SEVERITY_WARNING, table,
				"let forwarded packets of our links (group 0x6c000000/8) pass there",
				"it drops what is forwarded: boxes of network %s reach nothing beyond "
				"this host", network);
	}
}

static void check_left(struct findings *out, const struct place *place, const char *network)
{
	struct network_gc gc = { .dry = true };
	struct fail f = { 0 };
	char words[700], leases[64];

	/* Without it nothing was ever made, and is not made by looking. */
	snprintf(leases, sizeof(leases), "leases/%s", network);
	if (faccessat(place->dir, leases, F_OK, 0) < 0)
		return;
	if (network_gc(place, network, &gc, &f) < 0)
		findings_add(out, SEVERITY_WARNING, network,
			"run 'loginbox gc', which meets the same, and look why", "%s",
			fail_word(&f, words, sizeof(words)));
	else if (gc.leases || gc.rules)
		findings_add(out, SEVERITY_NOTE, network, "run 'loginbox gc'",
			"dead boxes left addresses (%u) and sets of rules (%u)", gc.leases, gc.rules);
	if (gc.repaired)
		findings_add(out, SEVERITY_ERROR, network,
			"run 'loginbox gc', which makes them again; somebody flushed the packet filter",
			"rules of living boxes are gone from the packet filter");
}

void doctor_network(struct findings *out, const struct policy *policy)
{
	static const char *const ask[] = { NFT, "list", "chains", NULL };
	OWN_STR rules = calloc(1, RULES_MAX);
	OWN_STR copy = NULL;
	struct place place = { .dir = -1 };
	struct fail f = { 0 };
	struct stat st;

	if (!policy || !policy->n_networks || !rules)
		return;
	bool known = stat(NFT, &st) == 0 && run_read(ask, rules, RULES_MAX) >= 0;
	for (size_t i = 0; known && i < policy->n_networks; i++) {
		const struct network *net = &policy->networks[i]->net;
		if (!network_forwards(net, FOUR) && !network_forwards(net, SIX))
			continue;
		free(copy);
		copy = strdup(rules);
		if (copy)
			check_forwarding(out, net->name, copy);
	}
	if (stat(LOGINBOX_RUN, &st) < 0 || place_open(&place, &f) < 0)
		return;
	for (size_t i = 0; i < policy->n_networks; i++)
		check_left(out, &place, policy->networks[i]->name);
	place_close(&place);
}
