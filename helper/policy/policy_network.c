#include "helper/policy/policy_network.h"

#include "lib/base/text.h"
#include "lib/linux/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WRONG(f, at, ...) fail_say(f, FAIL_POLICY, "read the policy", at, __VA_ARGS__)

const struct policy_network *policy_find_network(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_networks; i++)
		if (strcmp(policy->networks[i]->name, name) == 0)
			return policy->networks[i];
	return NULL;
}

struct policy_network *policy_add_network(struct policy *policy, const char *name, const char *at,
	struct fail *f)
{
	const struct policy_network *other = policy_find_network(policy, name);

	if (strcmp(name, "none") == 0 || strcmp(name, "host") == 0) {
		WRONG(f, at, "a network cannot be called '%s'", name);
		return NULL;
	}
	if (other) {
		WRONG(f, at, "network '%s' is defined at %s already", name, other->at);
		return NULL;
	}
	struct policy_network *network = calloc(1, sizeof(*network));
	struct policy_network **all = reallocarray(policy->networks, policy->n_networks + 1,
		sizeof(struct policy_network *));
	if (all)
		policy->networks = all;
	if (!network || !all || !(network->at = strdup(at))) {
		free(network);
		fail_err(f, ENOMEM, "read the policy", at);
		return NULL;
	}
	text_copy(network->name, sizeof(network->name), name);
	policy->networks[policy->n_networks++] = network;
	return network;
}

static bool overlaps(const struct network_family *a, const struct network_family *b)
{
	struct item in_a = { .address = a->subnet, .bits = a->bits };
	struct item in_b = { .address = b->subnet, .bits = b->bits };

	return a->used && b->used &&
		(address_is_in(&b->subnet, &in_a) || address_is_in(&a->subnet, &in_b));
}

/* Two networks share nothing by which the host tells them apart. */
static int check_apart(const struct policy_network *a, const struct policy_network *b,
	struct fail *f)
{
	if (strcmp(a->net.link, b->net.link) == 0)
		return WRONG(f, b->at, "networks '%s' and '%s' have one bridge, %s", a->name, b->name,
			a->net.link);
	if (overlaps(&a->net.family[FOUR], &b->net.family[FOUR]) ||
		overlaps(&a->net.family[SIX], &b->net.family[SIX]))
		return WRONG(f, b->at, "the subnets of networks '%s' and '%s' overlap", a->name,
			b->name);
	if (a->net.group == b->net.group)
		return WRONG(f, b->at, "networks '%s' and '%s' get one number; rename one", a->name,
			b->name);
	return 0;
}

static int check_box(const struct policy *policy, const struct box *box, struct fail *f)
{
	const struct setting *s = box->all.by_key[KEY_NETWORK];

	if (text_starts(s->text, "path:")) {
		const char *path = s->text + strlen("path:");
		if (value_is_path(path) && path[1])
			return 0;
		return WRONG(f, s->at, "network = %s: no plain absolute path", s->text);
	}
	if (strcmp(s->text, "host") == 0 || strcmp(s->text, "none") == 0 ||
		policy_find_network(policy, s->text))
		return 0;
	return WRONG(f, s->at, "network = %s: there is no such network", s->text);
}

int policy_resolve_networks(struct policy *policy, struct fail *f)
{
	for (size_t i = 0; i < policy->n_networks; i++) {
		struct policy_network *network = policy->networks[i];
		if (network_read(&network->net, network->name, &network->says, network->at, f) < 0)
			return -1;
		for (size_t j = 0; j < i; j++)
			if (check_apart(policy->networks[j], network, f) < 0)
				return -1;
	}
	for (size_t i = 0; i < policy->n_boxes; i++)
		if (check_box(policy, policy->boxes[i], f) < 0)
			return -1;
	return 0;
}

static int warn_uid(const struct rule *rule, const struct setting *s, uint64_t uid,
	const struct network *net, struct report *report)
{
	if (uid >= net->uid_from && uid <= net->uid_to)
		return 0;
	return report_add(report,
		"%s: rule '%s' takes uid %llu, which has no address in network '%s' (uids = %u-%u at "
		"%s)",
		s->at, rule->name, (unsigned long long)uid, net->name, net->uid_from, net->uid_to,
		net->uids_at);
}

static int warn_rule(const struct rule *rule, const struct network *net, struct report *report)
{
	const struct setting *uids = rule->says.by_key[KEY_RULE_UID];
	const struct setting *users = rule->says.by_key[KEY_RULE_USER];
	struct fail ignored = { 0 };

	for (size_t i = 0; uids && i < uids->value.n_items; i++) {
		const struct item *item = &uids->value.items[i];
		/* A range without an end takes whom it takes: its beginning is what can be seen. */
		if (!item->not && warn_uid(rule, uids, item->from, net, report) < 0)
			return -1;
	}
	for (size_t i = 0; users && i < users->value.n_items; i++) {
		const struct item *item = &users->value.items[i];
		struct account account = { 0 };
		int result = 0;
		if (item->not || strpbrk(item->text, "*?"))
			continue;
		/* An unknown name has its own warning. */
		if (account_by_name(&account, item->text, &ignored) == 0)
			result = warn_uid(rule, users, account.uid, net, report);
		account_free(&account);
		if (result < 0)
			return -1;
	}
	return 0;
}

/* Once for a box, however many rules give it. */
static int warn_sharing(const struct policy *policy, size_t at, const struct network *net,
	struct report *report)
{
	const struct box *box = policy->rules[at]->box;
	const struct setting *share = box->all.by_key[KEY_SHARE];

	for (size_t i = 0; i < at; i++)
		if (policy->rules[i]->gives == RULE_BOX && policy->rules[i]->box == box)
			return 0;
	if (strcmp(share->text, "session") != 0)
		return 0;
	return report_add(report,
		"%s: share = session in network '%s', which has one address for a user: a second "
		"session is refused while the first lasts (address = by-session has more)",
		share->at, net->name);
}

int policy_warn_networks(const struct policy *policy, struct report *report)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = policy->rules[i];
		if (rule->gives != RULE_BOX)
			continue;
		const char *name = rule->box->all.by_key[KEY_NETWORK]->text;
		const struct policy_network *network = policy_find_network(policy, name);
		if (!network || network->net.how == ADDRESS_BY_SESSION)
			continue;
		if (warn_sharing(policy, i, &network->net, report) < 0 ||
			(network->net.how == ADDRESS_BY_UID &&
				warn_rule(rule, &network->net, report) < 0))
			return -1;
	}
	return 0;
}

void policy_free_networks(struct policy *policy)
{
	for (size_t i = 0; i < policy->n_networks; i++) {
		free(policy->networks[i]->says.labelled);
		free(policy->networks[i]->at);
		free(policy->networks[i]);
	}
	free(policy->networks);
}
