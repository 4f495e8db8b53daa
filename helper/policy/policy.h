/*
 * policy.h - the facts that the policy's text states: what holds for all, which boxes there
 * are, with what they inherit resolved, and the rules in the order in which they are tried.
 * Every fact keeps the FILE:LINE where it was written.
 *
 * A policy owns its strings and lives until policy_free(). It asks the host nothing.
 *
 * Uses: helper/policy/config, helper/policy/value.
 */
#ifndef HELPER_POLICY_POLICY_H
#define HELPER_POLICY_POLICY_H

#include "helper/policy/config.h"
#include "helper/policy/keys.h"
#include "helper/policy/network.h"
#include "helper/policy/value.h"
#include "lib/base/fail.h"
#include "lib/base/report.h"

#include <stdbool.h>
#include <stddef.h>

/* In the order of the words in the table of keys. */
enum policy_mode { MODE_OFF, MODE_MONITOR, MODE_ENFORCE };
enum policy_on_error { ON_ERROR_DENY, ON_ERROR_ALLOW };
enum policy_nested { NESTED_REFUSE, NESTED_STAY };

enum policy_forbid { FORBID_HOST_NETWORK, FORBID_DEV_ALLOW, FORBID_USERNS, FORBID_NEW_PRIVS };

#define POLICY_AT 256 /* a file's name, see CONFIG_NAME_MAX, with a line's number */

/* One `key = value`. */
struct setting {
	struct setting *next; /* of all settings that the policy owns */
	const struct key *key;
	char *label; /* "www" of bind.www; NULL where the key has none */
	char *text;
	char *at; /* FILE:LINE; NULL: compiled in */
	struct value value;
};

/*
 * A section's settings by number of the key; NULL where the key has no value at all. Keys
 * with a label are a list, in the order of action: labels.h.
 */
struct settings {
	const struct setting *by_key[KEY_COUNT];
	const struct setting **labelled;
	size_t n_labelled;
};

struct box {
	char name[INI_NAME_MAX + 1];
	char at[POLICY_AT]; /* FILE:LINE; "" for base when no file has it */
	struct settings own; /* what the section says */
	struct settings all; /* with what it inherits and the defaults */
	const struct box *parent; /* NULL for base alone */
	unsigned depth;      /* parents above; filled while resolving */
	int state;
};

enum rule_gives { RULE_BOX, RULE_NONE, RULE_DENY };

struct rule {
	char name[INI_NAME_MAX + 1];
	char at[POLICY_AT]; /* FILE:LINE of the section's line */
	struct settings says;
	enum rule_gives gives;
	const struct box *box; /* with RULE_BOX */
};

/* One [network NAME]. */
struct policy_network {
	struct network net;
	char name[INI_NAME_MAX + 1];
	char *at; /* FILE:LINE of the section's line */
	struct settings says;
};

struct policy {
	struct settings global;
	struct box **boxes; /* boxes[0] is base */
	size_t n_boxes;
	struct rule **rules; /* in the order in which they are tried */
	size_t n_rules;
	struct policy_network **networks;
	size_t n_networks;
	struct setting *settings;
};

#define POLICY_DEPTH_MAX 8

/*
 * Reads the whole policy. `conf_dir` (absolute) stands for LOGINBOX_CONF_DIR, NULL for that
 * itself; the vendor's boxes are read from LOGINBOX_VENDOR_DIR in both cases. A wrong
 * policy is FAIL_POLICY with FILE:LINE; no policy at all is one without rules. A conf_dir
 * that is named and does not exist is FAIL_POLICY.
 */
int policy_load(struct policy **out, const char *conf_dir, struct fail *f);

/* The same from texts that are read already; the config may be freed after. */
int policy_make(struct policy **out, const struct config *config, struct fail *f);

/* What is not wrong and yet not what one wants: for check. Asks NSS for the names. */
int policy_warn(const struct policy *policy, struct report *report, struct fail *f);

const struct box *policy_find_box(const struct policy *policy, const char *name);

const struct policy_network *policy_find_network(const struct policy *policy, const char *name);

void policy_free(struct policy *policy);

#endif
