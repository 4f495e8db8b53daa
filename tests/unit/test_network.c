#include "helper/policy/network.h"
#include "helper/policy/network_rules.h"
#include "tests/unit/policy_help.h"

static const struct network *network_of(const char *text, struct policy **policy)
{
	char all[600];

	snprintf(all, sizeof(all), "[network lab]\n%s", text);
	*policy = policy_of_text(all);
	return *policy ? &(*policy)->networks[0]->net : NULL;
}

static void check_address(const char *text, int family, uint64_t slot, const char *wanted)
{
	struct policy *policy;
	const struct network *net = network_of(text, &policy);
	char seen[46];

	if (!net)
		return;
	struct address address = network_address(net, family, slot);
	CHECK_TEXT(address_text(&address, seen), wanted);
	policy_free(policy);
}

static void addresses_follow_the_gateway(void)
{
	static const char wide[] = "subnet = 10.77.0.0/16\nsubnet6 = fd77::/64\n";

	check_address(wide, FOUR, 0, "10.77.0.2");
	check_address(wide, FOUR, 253, "10.77.0.255");
	check_address(wide, FOUR, 254, "10.77.1.0");
	check_address(wide, FOUR, 65532, "10.77.255.254");
	check_address(wide, SIX, 0, "fd77::2");
	check_address(wide, SIX, 0xfffd, "fd77::ffff");
	check_address(wide, SIX, 0xfffe, "fd77::1:0");
	check_address("subnet = 10.77.255.128/25\n", FOUR, 124, "10.77.255.254");
	check_address("address = 10.9.0.2/24, fd09::2/64\n", SIX, 5, "fd09::2");
}

static void check_pool(const char *text, uint64_t pool, uint64_t unfit)
{
	struct policy *policy;
	const struct network *net = network_of(text, &policy);

	if (!net)
		return;
	CHECK_NUMBER(net->pool, pool);
	for (uint64_t slot = 0; slot < pool + 2 && slot < 300; slot++)
		CHECK(network_slot_fits(net, slot) == (slot < pool && slot != unfit));
	policy_free(policy);
}

static void a_pool_leaves_out_what_is_no_boxs(void)
{
	check_pool("subnet = 10.77.0.0/24\n", 253, 1000);
	check_pool("subnet = 10.77.0.0/30\n", 1, 1000);
	check_pool("subnet = 10.77.0.0/24\ngateway = 10.77.0.9\naddress = by-session\n", 253, 7);
	check_pool("subnet6 = fd77::/125\ngateway6 = fd77::4\naddress = by-session\n", 6, 2);
	check_pool("subnet = 10.0.0.0/8\nsubnet6 = fd77::/120\n", 254, 1000);
	check_pool("address = 10.9.0.2/24\n", 1, 1000);
}

static void a_uid_has_one_place_and_no_other(void)
{
	struct policy *policy;
	const struct network *net = network_of("subnet = 10.77.0.0/16\nuids = 2000-2999\n", &policy);
	struct fail f = { 0 };
	uint64_t slot = 77;

	if (!net)
		return;
	CHECK_NUMBER(network_slot(net, 2000, &slot, &f), 0);
	CHECK_NUMBER(slot, 0);
	CHECK_NUMBER(network_slot(net, 2999, &slot, &f), 0);
	CHECK_NUMBER(slot, 999);
	CHECK_NUMBER(network_slot(net, 1999, &slot, &f), -1);
	CHECK_NUMBER(f.kind, FAIL_REFUSED);
	CHECK_TEXT(f.rule, "uid 1999 is outside uids = 2000-2999 at FILE:3");
	f = (struct fail){ 0 };
	CHECK_NUMBER(network_slot(net, 3000, &slot, &f), -1);
	policy_free(policy);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

/* What is asked of the kernel later is what the commands make. */
static void check_rules(const char *text)
{
	struct policy *policy;
	const struct network *net = network_of(text, &policy);
	struct nft_chain chains[NETWORK_CHAINS];
	OWN_STR rules = NULL;
	OWN_STR gone = NULL;
	size_t size;
	char line[200];

	if (!net)
		return;
	FILE *to = open_memstream(&rules, &size);
	network_rules(net, to);
	fclose(to);
	to = open_memstream(&gone, &size);
	network_rules_remove(net->name, net->group, net->bridged, to);
	fclose(to);
	size_t n = network_rules_chains(net, chains);
	CHECK_NUMBER(count(rules, "add chain "), n);
	for (size_t i = 0; i < n; i++) {
		const char *family = chains[i].family == 1 ? "inet" : "bridge";
		snprintf(line, sizeof(line), "add rule %s loginbox %s ", family, chains[i].chain);
		CHECK_NUMBER(count(rules, line), chains[i].rules);
		snprintf(line, sizeof(line), "delete chain %s loginbox %s\n", family,
			chains[i].chain);
		CHECK_NUMBER(count(gone, line), 1);
	}
	policy_free(policy);
}

static void the_rules_are_those_that_are_looked_for(void)
{
	check_rules("subnet = 10.77.0.0/16\n");
	check_rules("subnet = 10.77.0.0/16\nsubnet6 = fd77::/64\nbridge = br0\n");
	check_rules("subnet6 = fd77::/64\nbridge = br0\npeers = open\nmasquerade = yes\n");
	check_rules("subnet = 10.77.0.0/16\npeers = open\nallow_out = tcp:1-9, icmp\n"
		    "deny_out = any@10.0.0.0/8\nmasquerade = yes\n");
	check_rules("subnet = 10.77.0.0/16\ngateway = none\nallow_out = none\n");
}

static uint32_t group_of(const char *text)
{
	struct policy *policy;
	const struct network *net = network_of(text, &policy);
	uint32_t group = net ? net->group : 0;

	policy_free(policy);
	return group;
}

static void another_text_is_another_number(void)
{
	uint32_t group = group_of("subnet = 10.77.0.0/16\n");

	CHECK_NUMBER(group & NETWORK_GROUP_MASK, NETWORK_GROUP);
	CHECK_NUMBER(group_of("subnet = 10.77.0.0/16\npeers = isolated\n"), group);
	CHECK(group_of("subnet = 10.77.0.0/16\npeers = open\n") != group);
	CHECK(group_of("subnet = 10.77.0.0/16\ndeny_out = tcp:25\n") != group);
	CHECK(group_of("subnet = 10.77.0.0/16\nrate = 1mbit\n") != group);
	CHECK(group_of("subnet = 10.77.0.0/17\n") != group);
}

static void who_has_no_address_is_told_when_the_policy_is_checked(void)
{
	struct policy *policy = policy_of_text(
		"[network lab]\nsubnet = 10.77.0.0/16\nuids = 2000-2999\n[box a]\nnetwork = lab\n"
		"[rule r]\nuid = 2000-2001, 3000\nuser = root, !alice\nbox = a\n");
	struct report report = { 0 };
	struct fail f = { 0 };

	CHECK_NUMBER(policy_warn(policy, &report, &f), 0);
	const char *const wanted[] = {
		"FILE:7: rule 'r' takes uid 3000, which has no address in network 'lab' (uids = "
		"2000-2999 at FILE:3)",
		"FILE:8: rule 'r' takes uid 0, which has no address in network 'lab' (uids = "
		"2000-2999 at FILE:3)" };
	for (size_t i = 0; i < 2; i++) {
		bool found = false;
		for (size_t j = 0; j < report.n; j++)
			found = found || strcmp(report.lines[j], wanted[i]) == 0;
		CHECK(found);
	}
	report_free(&report);
	policy_free(policy);
}

static size_t sharing_lines(const char *network)
{
	char text[400];
	struct report report = { 0 };
	struct fail f = { 0 };
	size_t n = 0;

	snprintf(text, sizeof(text),
		"[network lab]\n%s\n[box a]\nshare = session\nnetwork = lab\n"
		"[rule q]\nuid = 2001\nbox = a\n[rule r]\nuid = 2002\nbox = a\n",
		network);
	struct policy *policy = policy_of_text(text);
	CHECK_NUMBER(policy_warn(policy, &report, &f), 0);
	for (size_t i = 0; i < report.n; i++)
		n += strstr(report.lines[i], "one address for a user: a second session is refused") !=
			NULL;
	report_free(&report);
	policy_free(policy);
	return n;
}

static void boxes_by_session_with_one_address_are_told_of_once(void)
{
	CHECK_NUMBER(sharing_lines("subnet = 10.77.0.0/16"), 1);
	CHECK_NUMBER(sharing_lines("address = 10.77.0.9/16"), 1);
	CHECK_NUMBER(sharing_lines("subnet = 10.77.0.0/16\naddress = by-session"), 0);
}

int main(void)
{
	RUN(addresses_follow_the_gateway);
	RUN(a_pool_leaves_out_what_is_no_boxs);
	RUN(a_uid_has_one_place_and_no_other);
	RUN(the_rules_are_those_that_are_looked_for);
	RUN(another_text_is_another_number);
	RUN(who_has_no_address_is_told_when_the_policy_is_checked);
	RUN(boxes_by_session_with_one_address_are_told_of_once);
	return test_end();
}
