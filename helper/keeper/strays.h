/*
 * strays.h - the end of a box without a PID namespace of its own: its init's death ends
 * nobody else, so every process in its mount namespace is ended one by one.
 *
 * Runs in the keeper. Uses: lib/linux/sys; pidfd_open(2), namespaces(7).
 */
#ifndef HELPER_KEEPER_STRAYS_H
#define HELPER_KEEPER_STRAYS_H

#include "helper/keeper/session.h"

#include <sys/types.h>

/*
 * Starts to end them, in a process of its own, and returns. `init` is still alive. The
 * processes of `sessions` are given the time to leave the box by themselves.
 */
void strays_end(pid_t init, const struct sessions *sessions);

#endif
