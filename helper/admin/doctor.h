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

/* The kernel and the programs installed: helper, module, system calls, namespaces. */
void doctor_host(struct findings *out);

/* sshd's configuration, as sshd itself reads it. */
void doctor_sshd(struct findings *out, bool uses_rhost);

/* The state directory: the break-glass file, boxes that have died. */
void doctor_state(struct findings *out);

#endif
