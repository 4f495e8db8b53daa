/*
 * loopback.h - the one link that every network namespace is born with.
 *
 * Apart from link.h, because most boxes need no other: netdevice(7) does it on any socket,
 * without a netlink library, an answer to wait for, or memory.
 *
 * Uses: lib/base; netdevice(7).
 */
#ifndef LIB_LINUX_LOOPBACK_H
#define LIB_LINUX_LOOPBACK_H

#include "lib/base/fail.h"

/* Brings lo of the caller's network namespace up, and reads that back. */
int loopback_up(struct fail *f);

#endif
