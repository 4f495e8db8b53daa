/*
 * probes.h - what a policy asks of this kernel, one row each: which boxes want it, and
 * whether it can be had here. `check --here` and doctor go through all of them.
 *
 * What a probe tries it tries in a child with namespaces of its own: nothing stays.
 *
 * A new feature that a kernel may lack is one more row in the table of probes.c.
 *
 * Uses: helper/admin/findings, helper/policy, lib/linux.
 */
#ifndef HELPER_ADMIN_PROBES_H
#define HELPER_ADMIN_PROBES_H

#include "helper/admin/findings.h"
#include "helper/policy/policy.h"

/* What a probe looks at: one box, and the policy that it belongs to. */
struct probe_of {
	const struct policy *policy;
	const struct box *box;
};

struct probe {
	const char *name; /* what is wanted, as a noun */
	bool (*wants)(const struct probe_of *of);
	/* False with one clause in `why` when this host cannot. */
	bool (*can)(const struct probe_of *of, char *why, size_t size);
	const char *todo;
	bool for_each; /* the answer depends on the box; else the first that wants it is asked for */
	bool warns;    /* logins work all the same */
};

/* Asks for every box that a rule gives, and for base when none does. */
void probes_run(const struct policy *policy, struct findings *out);

/* The rows in probes_host.c and the files beside it. */
bool probe_says(const struct probe_of *of, enum key_id key, const char *word);
bool probe_is_set(const struct probe_of *of, enum key_id key);

/* Runs `what` in a child with a network and a mount namespace of its own. */
bool probe_aside(bool (*what)(char *why, size_t size), char *why, size_t size);

bool probe_can_mount(const struct probe_of *of, char *why, size_t size);
bool probe_can_overlay(const struct probe_of *of, char *why, size_t size);
bool probe_wants_keep(const struct probe_of *of);
bool probe_can_keep(const struct probe_of *of, char *why, size_t size);
bool probe_can_hidepid(const struct probe_of *of, char *why, size_t size);
bool probe_can_link(const struct probe_of *of, char *why, size_t size);
bool probe_can_filter_packets(const struct probe_of *of, char *why, size_t size);
const struct policy_network *probe_network(const struct probe_of *of); /* NULL: of none */
bool probe_wants_six(const struct probe_of *of);
bool probe_can_six(const struct probe_of *of, char *why, size_t size);
bool probe_can_subnet(const struct probe_of *of, char *why, size_t size);
bool probe_can_group(const struct probe_of *of, char *why, size_t size);
bool probe_can_raise(const struct probe_of *of, char *why, size_t size);
bool probe_can_share(const struct probe_of *of, char *why, size_t size);
bool probe_can_label(const struct probe_of *of, char *why, size_t size);
bool probe_can_filter_calls(const struct probe_of *of, char *why, size_t size);

#endif
