/*
 * carry.h - what variables of the PAM environment name: opened as the user, judged, and
 * handed on with the login's descriptors, for the box's private /tmp.
 *
 * Uses: helper/policy/plan, lib/linux/borrow, lib/wire.
 */
#ifndef HELPER_CARRY_H
#define HELPER_CARRY_H

#include "helper/policy/plan.h"
#include "lib/base/fdio.h"
#include "lib/wire/wire.h"

/*
 * Appends a descriptor to `fds` for each variable that the plan carries and that names a
 * regular file of the user's with one link, or a socket of the user's, directly in /tmp or
 * in a 0700 directory of the user's there. Anything else is left out: it is a convenience.
 */
void carry_gather(const struct plan *plan, const struct wire_open *ask, struct fdio_fds *fds);

#endif
