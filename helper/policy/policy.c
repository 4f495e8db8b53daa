#include "helper/policy/policy.h"

#include "helper/policy/policy_process.h"

#include "helper/policy/labels.h"
#include "helper/policy/policy_network.h"
#include "helper/policy/tree_rules.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <stdio.h>
#include <string.h>

/* The section that is being read. */
struct reader {
	struct policy *policy;
	const char *file;
	struct fail *f;
};

static int out_of_memory(struct fail *f)
{
	return fail_err(f, ENOMEM, "read the policy", "");
}

static char *place(const char *file, unsigned line)
{
	char *at;
	return asprintf(&at, "%s:%u", file, line) < 0 ? NULL : at;
}

#define WRONG(f, at, ...) fail_say(f, FAIL_POLICY, "read the policy", at, __VA_ARGS__)

/* ---- one key ------------------------------------------------------------------------- */

/* The label that a name has beyond its key's: "www" of "bind.www". */
static const char *label_of(const struct key *key, const char *name)
{
	return key_is_labelled(key) ? strchr(name, '.') + 1 : NULL;
}

static int add_setting(struct policy *policy, struct settings *to, const struct key *key,
	const struct ini_key *from, const char *at, struct fail *f)
{
	const char *text = from ? from->value : key->value;
	const char *label = from ? label_of(key, from->name) : NULL;
	char why[256] = "";
	struct setting *s = calloc(1, sizeof(*s));

	if (!s)
		return out_of_memory(f);
	s->next = policy->settings;
	policy->settings = s;
	s->key = key;
	s->text = strdup(text);
	s->at = at ? strdup(at) : NULL;
	s->label = label ? strdup(label) : NULL;
	if (!s->text || (at && !s->at) || (label && !s->label))
		return out_of_memory(f);
	if (!value_read(&s->value, key, text, why, sizeof(why)))
		return WRONG(f, at ? at : "(default)", "%s", why);
	if (label)
		return labels_add(to, s, f);
	to->by_key[key_id(key)] = s;
	return 0;
}

static int refuse_key(struct fail *f, const char *at, enum section section, const char *name)
{
	const char *nearest = key_nearest(section, name);
	enum section other = section == IN_BOX ? IN_NETWORK : IN_BOX;

	if ((section == IN_BOX || section == IN_NETWORK) && key_find(other, name))
		return WRONG(f, at, "'%s' is a key of %s, not of %s", name,
			key_section_name(other), key_section_name(section));
	return WRONG(f, at, "'%s' is no key of %s%s%s%s", name, key_section_name(section),
		nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int read_key(struct reader *r, enum section section, const struct ini_key *k,
	struct settings *to)
{
	OWN_STR at = place(r->file, k->line);
	const struct key *key = key_find(section, k->name);

	if (!at)
		return out_of_memory(r->f);
	if (!key)
		return refuse_key(r->f, at, section, k->name);
	if (key->kind == KIND_LATER)
		return WRONG(r->f, at, "%s is not built yet", k->name);
	return add_setting(r->policy, to, key, k, at, r->f);
}

static int read_keys(struct reader *r, enum section section, const struct ini_section *from,
	struct settings *to)
{
	for (size_t i = 0; i < from->n_keys; i++)
		if (read_key(r, section, &from->keys[i], to) < 0)
			return -1;
	return 0;
}

/* What nobody wrote stands in the table. */
static int add_defaults(struct policy *policy, enum section section, struct settings *to,
	struct fail *f)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key *key = &key_table[i];
		if (key->section != section || to->by_key[i] || !key->value ||
			key->kind == KIND_LATER)
			continue;
		if (add_setting(policy, to, key, NULL, NULL, f) < 0)
			return -1;
	}
	return 0;
}

/* ---- one section --------------------------------------------------------------------- */

static struct box *find_box(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_boxes; i++)
		if (strcmp(policy->boxes[i]->name, name) == 0)
			return policy->boxes[i];
	return NULL;
}

const struct box *policy_find_box(const struct policy *policy, const char *name)
{
	return find_box(policy, name);
}

/* Adds a box as the last one. */
static int add_box(struct policy *policy, const char *name, const char *at, struct fail *f)
{
	struct box *box = calloc(1, sizeof(*box));
	struct box **boxes = reallocarray(policy->boxes, policy->n_boxes + 1, sizeof(*boxes));

	if (boxes)
		policy->boxes = boxes;
	if (!box || !boxes) {
		free(box);
		return out_of_memory(f);
	}
	text_copy(box->at, sizeof(box->at), at);
	text_copy(box->name, sizeof(box->name), name);
	policy->boxes[policy->n_boxes++] = box;
	return 0;
}

static int read_box(struct reader *r, const struct ini_section *from, const char *at)
{
	struct box *box = find_box(r->policy, from->name);

	if (strcmp(from->name, "none") == 0 || strcmp(from->name, "deny") == 0)
		return WRONG(r->f, at, "a box cannot be called '%s'", from->name);
	if (box && box->at[0])
		return WRONG(r->f, at, "box '%s' is defined at %s already", from->name, box->at);
	if (box) /* base, which is there before any file is read */
		text_copy(box->at, sizeof(box->at), at);
	else if (add_box(r->policy, from->name, at, r->f) < 0)
		return -1;
	else
		box = r->policy->boxes[r->policy->n_boxes - 1];
	return read_keys(r, IN_BOX, from, &box->own);
}

static int read_network(struct reader *r, const struct ini_section *from, const char *at)
{
	struct policy_network *network = policy_add_network(r->policy, from->name, at, r->f);

	if (!network || read_keys(r, IN_NETWORK, from, &network->says) < 0)
		return -1;
	return add_defaults(r->policy, IN_NETWORK, &network->says, r->f);
}

static int read_rule(struct reader *r, const struct ini_section *from, const char *at)
{
	struct policy *policy = r->policy;
	struct rule *rule = calloc(1, sizeof(*rule));
	struct rule **rules = reallocarray(policy->rules, policy->n_rules + 1, sizeof(*rules));

	if (rules)
		policy->rules = rules;
	if (!rule || !rules) {
		free(rule);
		return out_of_memory(r->f);
	}
	text_copy(rule->at, sizeof(rule->at), at);
	text_copy(rule->name, sizeof(rule->name), from->name);
	policy->rules[policy->n_rules++] = rule;
	return read_keys(r, IN_RULE, from, &rule->says);
}

static int read_section(struct reader *r, const struct ini_section *from, bool rules)
{
	bool is_rule = strcmp(from->kind, "rule") == 0, named = from->name[0];
	OWN_STR at = place(r->file, from->line);

	if (!at)
		return out_of_memory(r->f);
	if (is_rule && named)
		return rules ? read_rule(r, from, at) : 0;
	if (rules)
		return 0;
	if (strcmp(from->kind, "global") == 0 && !named)
		return read_keys(r, IN_GLOBAL, from, &r->policy->global);
	if (strcmp(from->kind, "box") == 0 && named)
		return read_box(r, from, at);
	if (strcmp(from->kind, "network") == 0 && named)
		return read_network(r, from, at);
	return WRONG(r->f, at,
		"[%s%s%s] is no section: [global], [box NAME], [network NAME], [rule NAME]",
		from->kind, named ? " " : "", from->name);
}

static int read_file(struct policy *policy, const struct config_file *file, bool rules,
	struct fail *f)
{
	struct reader r = { policy, file->name, f };

	for (size_t i = 0; i < file->ini.n_sections; i++)
		if (read_section(&r, &file->ini.sections[i], rules) < 0)
			return -1;
	return 0;
}

/* Boxes and [global] in the order of reading; then rules, those of loginbox.conf first. */
static int read_files(struct policy *policy, const struct config *config, struct fail *f)
{
	for (size_t i = 0; i < config->n_files; i++)
		if (read_file(policy, &config->files[i], false, f) < 0)
			return -1;
	for (int main = 1; main >= 0; main--)
		for (size_t i = 0; i < config->n_files; i++)
			if (config->files[i].main == (bool)main &&
				read_file(policy, &config->files[i], true, f) < 0)
				return -1;
	return 0;
}

/* ---- boxes: what they inherit --------------------------------------------------------- */

enum { UNRESOLVED, BEING_RESOLVED, RESOLVED };

static int resolve_box(struct policy *policy, struct box *box, struct fail *f);

/* Finds the parent of a box other than base, itself resolved. */
static int resolve_parent(struct policy *policy, struct box *box, struct fail *f)
{
	const struct setting *says = box->own.by_key[KEY_INHERIT];
	const char *name = says ? says->text : "base", *at = says ? says->at : NULL;
	struct box *parent = find_box(policy, name);

	if (!parent)
		return WRONG(f, at, "inherit = %s: there is no such box", name);
	if (parent->state == BEING_RESOLVED)
		return WRONG(f, at, "inherit = %s: the box inherits from itself", name);
	/* Checked on the way down as well: a chain of thousands is no recursion of ours. */
	parent->depth = box->depth + 1;
	if (parent->state == UNRESOLVED && parent->depth > 2 * POLICY_DEPTH_MAX)
		return WRONG(f, at, "inherit = %s: more than %d boxes deep", name,
			POLICY_DEPTH_MAX);
	if (parent->state == UNRESOLVED && resolve_box(policy, parent, f) < 0)
		return -1;
	box->parent = parent;
	return 0;
}

/* The lines `inherit =` from here up. */
static unsigned count_inherits(const struct box *box)
{
	unsigned n = 0;
	for (const struct box *b = box; b && b->own.by_key[KEY_INHERIT]; b = b->parent)
		n++;
	return n;
}

static int resolve_box(struct policy *policy, struct box *box, struct fail *f)
{
	bool is_base = box == policy->boxes[0];

	box->state = BEING_RESOLVED;
	box->all = box->own;
	box->all.labelled = NULL;
	box->all.n_labelled = 0;
	if (is_base) {
		const struct setting *says = box->own.by_key[KEY_INHERIT];
		if (says)
			return WRONG(f, says->at, "base inherits from nothing");
		if (add_defaults(policy, IN_BOX, &box->all, f) < 0)
			return -1;
	} else {
		if (resolve_parent(policy, box, f) < 0)
			return -1;
		const struct setting *says = box->own.by_key[KEY_INHERIT];
		if (says && count_inherits(box) > POLICY_DEPTH_MAX)
			return WRONG(f, says->at, "inherit = %s: more than %d boxes deep",
				says->text, POLICY_DEPTH_MAX);
		for (size_t i = 0; i < KEY_COUNT; i++)
			if (!box->all.by_key[i] && i != KEY_INHERIT && i != KEY_DESCRIPTION)
				box->all.by_key[i] = box->parent->all.by_key[i];
	}
	if (labels_resolve(&box->all, &box->own, box->parent ? &box->parent->all : NULL, f) < 0)
		return -1;
	box->state = RESOLVED;
	return tree_rules_check(box, f);
}

static int resolve_boxes(struct policy *policy, struct fail *f)
{
	for (size_t i = 0; i < policy->n_boxes; i++) {
		struct box *box = policy->boxes[i];
		box->depth = 0;
		if (box->state == UNRESOLVED && resolve_box(policy, box, f) < 0)
			return -1;
	}
	return 0;
}

/* ---- rules: what they give ------------------------------------------------------------ */

/* What `forbid` names, as the box's key and the value that offends. */
static const struct {
	enum key_id key;
	const char *value;
} forbidden[] = {
	[FORBID_HOST_NETWORK] = { KEY_NETWORK, "host" },
	[FORBID_DEV_ALLOW] = { KEY_DEV, "host" },
	[FORBID_USERNS] = { KEY_USER_NAMESPACES, "yes" },
	[FORBID_NEW_PRIVS] = { KEY_NO_NEW_PRIVS, "no" },
};

/* Asked of boxes that a rule gives: base itself may do what a site forbids. */
static int check_forbidden(const struct policy *policy, const struct rule *rule, struct fail *f)
{
	const struct setting *forbid = policy->global.by_key[KEY_FORBID];

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		const struct setting *s = rule->box->all.by_key[forbidden[i].key];
		if (!(forbid->value.number & 1ull << i) || strcmp(s->text, forbidden[i].value) != 0)
			continue;
		return WRONG(f, s->at ? s->at : rule->at, "box '%s' has %s = %s%s, which %s forbids",
			rule->box->name, s->key->name, s->text, s->at ? "" : " by default",
			forbid->at);
	}
	const struct setting *userns = rule->box->all.by_key[KEY_USERNS];
	if ((forbid->value.number & 1ull << FORBID_USERNS) && strcmp(userns->text, "self") == 0)
		return WRONG(f, userns->at, "box '%s' has userns = self, which %s forbids",
			rule->box->name, forbid->at);
	const struct setting *nodes = rule->box->all.by_key[KEY_DEV_ALLOW];
	if ((forbid->value.number & 1ull << FORBID_DEV_ALLOW) && nodes->value.n_items)
		return WRONG(f, nodes->at, "box '%s' has dev_allow = %s, which %s forbids",
			rule->box->name, nodes->text, forbid->at);
	return 0;
}

static int resolve_rule(const struct policy *policy, struct rule *rule, struct fail *f)
{
	const struct setting *box = rule->says.by_key[KEY_RULE_BOX];

	if (!box)
		return WRONG(f, rule->at, "rule '%s' has no 'box'", rule->name);
	rule->gives = strcmp(box->text, "none") == 0 ? RULE_NONE
		: strcmp(box->text, "deny") == 0     ? RULE_DENY
						     : RULE_BOX;
	if (rule->gives != RULE_BOX)
		return 0;
	rule->box = find_box(policy, box->text);
	if (!rule->box)
		return WRONG(f, box->at, "box = %s: there is no such box", box->text);
	if (check_forbidden(policy, rule, f) < 0)
		return -1;
	return policy_check_process(policy, rule, f);
}

static int resolve_rules(struct policy *policy, struct fail *f)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (resolve_rule(policy, policy->rules[i], f) < 0 ||
			add_defaults(policy, IN_RULE, &policy->rules[i]->says, f) < 0)
			return -1;
	return 0;
}

/* ---- [global] --------------------------------------------------------------------------- */

#define TIMEOUT_MAX_MS (10 * 60 * 1000)

static int check_global(const struct policy *policy, struct fail *f)
{
	const struct setting *timeout = policy->global.by_key[KEY_TIMEOUT];

	if (timeout->value.number > TIMEOUT_MAX_MS)
		return WRONG(f, timeout->at, "timeout = %s is more than 10m", timeout->text);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------ */

int policy_make(struct policy **out, const struct config *config, struct fail *f)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return out_of_memory(f);
	if (add_box(policy, "base", "", f) < 0 || read_files(policy, config, f) < 0 ||
		add_defaults(policy, IN_GLOBAL, &policy->global, f) < 0 ||
		check_global(policy, f) < 0 || resolve_boxes(policy, f) < 0 ||
		policy_resolve_networks(policy, f) < 0 || resolve_rules(policy, f) < 0) {
		policy_free(policy);
		return -1;
	}
	*out = policy;
	return 0;
}

/* A directory that somebody named must be there: a slip of the pen is no empty policy. */
static int check_named(const char *conf_dir, struct fail *f)
{
	struct fail cause = { 0 };
	OWN_FD dir = -1;

	if (path_open_directory(&dir, conf_dir, &cause) == 0)
		return 0;
	return WRONG(f, conf_dir, "%s", cause.err ? strerror(cause.err) : cause.rule);
}

int policy_load(struct policy **out, const char *conf_dir, struct fail *f)
{
	struct config config = { 0 };

	if (conf_dir && check_named(conf_dir, f) < 0)
		return -1;
	if (config_load(&config, conf_dir ? conf_dir : LOGINBOX_CONF_DIR, LOGINBOX_VENDOR_DIR, f) < 0)
		return -1;
	int result = policy_make(out, &config, f);
	config_free(&config);
	return result;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->n_boxes; i++) {
		free(policy->boxes[i]->own.labelled);
		free(policy->boxes[i]->all.labelled);
		free(policy->boxes[i]);
	}
	for (size_t i = 0; i < policy->n_rules; i++) {
		free(policy->rules[i]->says.labelled);
		free(policy->rules[i]);
	}
	policy_free_networks(policy);
	while (policy->settings) {
		struct setting *s = policy->settings;
		policy->settings = s->next;
		value_free(&s->value);
		free(s->text);
		free(s->label);
		free(s->at);
		free(s);
	}
	free(policy->global.labelled);
	free(policy->boxes);
	free(policy->rules);
	free(policy);
}
