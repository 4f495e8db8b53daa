/*
 * terminal.h - a terminal of the host, seen in the running box.
 *
 * su, sudo, doas and login bring their caller's terminal as open descriptors. Those work in
 * the box, but no name in the box's own devpts leads to them, and a name of the same number
 * leads to another terminal. So the node itself is attached directly below the box's /dev,
 * where ttyname(3) looks: tty, ps, tmux, script, mesg and gpg find it. Whose it is and who
 * may open it stays as it is on the host.
 *
 * Runs in the keeper. Uses: lib/linux (tty, mount, sys); open_tree(2), move_mount(2).
 */
#ifndef HELPER_KEEPER_TERMINAL_H
#define HELPER_KEEPER_TERMINAL_H

#include <stddef.h>

/*
 * Attaches the terminal `tty` (borrowed; -1: none) in the box of `init`, a pidfd; `node`
 * gets the name below /dev, or "". A terminal that cannot be seen by a name (it belongs to
 * a mount of somebody else's, as in a container) is none: the login goes on, and its
 * descriptors work.
 */
void terminal_attach(char *node, size_t size, int init, int tty);

/* Takes the name away again; whoever has the terminal open keeps it. */
void terminal_detach(const char *node, int init);

#endif
