/*
 * shell.h - the shell door: the caller's real uid gets its own boxed shell, and nothing else
 * may be asked.
 *
 * Uses: helper/keeper/join, helper/build/finalise, helper/policy, lib.
 */
#ifndef HELPER_SHELL_H
#define HELPER_SHELL_H

#include "helper/sanitise.h"

/*
 * Runs the caller's shell with the arguments as they came (argv[0]'s leading '-' makes it a
 * login shell), in the caller's box, or outside where no rule matches. Returns the exit
 * status of this program; where the shell died of a signal, dies of the same.
 */
int shell_run(struct caller *caller, char **argv);

/*
 * The last exec inside a box, without privilege: applies what only it can carry, as the
 * marker says, and becomes the real shell. Refuses outside. Returns only on failure.
 */
int shell_last(const struct caller *caller, char **argv);

#endif
