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

/* Whether the rule's user, uid and group fit the account: it may get the box, by some login. */
bool match_may_take(const struct rule *rule, const struct account *account);

/* Whether the rule takes every login of whoever it may take: nothing but who it is counts. */
bool match_is_of_any_login(const struct rule *rule);

/* Whether [global] exempts the user; `why` is one clause when it does. uid 0 always is. */
bool match_exempt(const struct policy *policy, const struct account *account, char *why,
	size_t size);

#endif
