/*
 * keys.h - the kernel's keyrings.
 *
 * Uses: lib/base; keyctl(2), session-keyring(7).
 */
#ifndef LIB_LINUX_KEYS_H
#define LIB_LINUX_KEYS_H

#include "lib/base/fail.h"

/*
 * Gives the caller a new, empty session keyring, so that whoever comes after it does not
 * possess the secrets of whoever called it. A kernel without keys has nothing to hide: 0.
 */
int keys_renew(struct fail *f);

#endif
