/*
 * carried.h - a file or socket of the user's that a login brings, seen in the box's own /tmp.
 *
 * Runs in the keeper. Uses: lib/linux (mount, sys); open_tree(2), move_mount(2).
 */
#ifndef HELPER_KEEPER_CARRIED_H
#define HELPER_KEEPER_CARRIED_H

#include <sys/types.h>

/*
 * Attaches what `fd` (O_PATH, borrowed) is, under the name that it has below the host's
 * /tmp, in the box of `init`, a pidfd. A name that the box has already stays what it is.
 */
void carried_attach(int init, int fd, uid_t uid, gid_t gid);

#endif
