/*
 * patience.h - a bound on how long a descriptor of a tenant's may hold the keeper up.
 *
 * Who sends to a socket may send descriptors along, and the kernel closes those that the
 * reader has no room for, or that lie in a socket that is closed, in the reader's name. A TCP
 * connection with SO_LINGER then waits until the other end, the tenant's too, has read what is
 * in it. Such a wait ends with a signal, so between begin and end one comes again and again.
 *
 * Uses: setitimer(2), sigaction(2), socket(7) (SO_LINGER), signal(7).
 */
#ifndef HELPER_KEEPER_PATIENCE_H
#define HELPER_KEEPER_PATIENCE_H

/*
 * From here on a call that waits is interrupted after some milliseconds, with EINTR where it has
 * nothing to answer yet. Takes SIGALRM and ITIMER_REAL; a process that is forked has the handler
 * and no timer. To be ended by patience_end() in the same function.
 */
void patience_begin(void);
void patience_end(void);

/* Closes a socket to a tenant, whatever lies in it unread, and makes it -1. */
void patience_close(int *sock);

#endif
