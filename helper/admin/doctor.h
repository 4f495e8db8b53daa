/*
 * doctor.h - what can be wrong on a host that wants its logins boxed, looked at one by one.
 *
 * Uses: helper/admin/findings, helper/policy, helper/state.
 */
#ifndef HELPER_ADMIN_DOCTOR_H
#define HELPER_ADMIN_DOCTOR_H

#include "helper/admin/findings.h"
#include "helper/policy/policy.h"

/* The services' files below /etc/pam.d: our lines, their control, arguments and order; and
 * doors that can run code as a boxed user and lack them. */
void doctor_pam(struct findings *out, bool boxes_somebody);

/* The programs installed, and how many namespaces may be made. */
void doctor_host(struct findings *out);

/* sshd's configuration, as sshd itself reads it. */
void doctor_sshd(struct findings *out, bool uses_rhost);

/* The sources of users and groups: each must answer. */
void doctor_names(struct findings *out);

/* The packet filter, where the policy has networks. */
void doctor_network(struct findings *out, const struct policy *policy);

/* The state directory: the break-glass file, boxes that have died. */
void doctor_state(struct findings *out);

#endif
