/*
 * link.h - network links of the namespace that the caller is in.
 *
 * Uses: lib/base; libnl-3 (rtnetlink(7)).
 */
#ifndef LIB_LINUX_LINK_H
#define LIB_LINUX_LINK_H

#include "lib/base/fail.h"

/* Brings the loopback link (index 1 in every namespace) up, acknowledged by the kernel. */
int link_loopback_up(struct fail *f);

#endif
