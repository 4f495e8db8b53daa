/*
 * match.h - which rule counts for a login, and why the ones before it do not.
 *
 * Uses: helper/policy/policy, helper/policy/request.
 */
#ifndef HELPER_POLICY_MATCH_H
#define HELPER_POLICY_MATCH_H

#include "helper/policy/policy.h"
#include "helper/policy/request.h"

enum match {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNKNOWN, /* it would match, but the client gave a host name where an address counts */
};

/* Judges one rule; `why` is one clause when it does not match. */
enum match match_rule(const struct rule *rule, const struct request *request, char *why,
	size_t size);

/* Whether [global] exempts the user; `why` is one clause when it does. uid 0 always is. */
bool match_exempt(const struct policy *policy, const struct account *account, char *why,
	size_t size);

#endif
