/*
 * label.h - security labels of AppArmor and SELinux that a process takes on at its next exec.
 *
 * Written through a descriptor of a real /proc that nothing is mounted over, and read back:
 * a masked or forged /proc has swallowed such writes elsewhere.
 *
 * Uses: lib/base; the kernel's LSM interface (proc_pid_attr(5)).
 */
#ifndef LIB_LINUX_LABEL_H
#define LIB_LINUX_LABEL_H

#include "lib/base/fail.h"

enum label_kind { LABEL_APPARMOR, LABEL_SELINUX };

/* Whether the host has the module, and AppArmor the profile; FAIL_REFUSED says what is missing. */
int label_check(enum label_kind kind, const char *label, struct fail *f);

/* The caller's next exec, and its children's, takes on the label. */
int label_at_exec(enum label_kind kind, const char *label, struct fail *f);

/*
 * Leaves the AppArmor profile that the caller is in, if any: after no_new_privs an exec could
 * not. The profile has to allow it (change_profile -> unconfined).
 */
int label_leave(struct fail *f);

#endif
