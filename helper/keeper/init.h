/*
 * init.h - pid 1 of a box, after it is built: root without a capability, one descriptor,
 * reaping.
 *
 * Uses: lib/linux; pid_namespaces(7), sigwaitinfo(2).
 */
#ifndef HELPER_KEEPER_INIT_H
#define HELPER_KEEPER_INIT_H

/* Gives up what building needed and reaps for ever. `control` is held until death: its end
 * is how the keeper learns of it. */
void init_live(int control) __attribute__((noreturn));

#endif
