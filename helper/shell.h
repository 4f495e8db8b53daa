/*
 * shell.h - the shell door: the caller's real uid gets its own boxed shell, and nothing else
 * may be asked.
 *
 *	rule says   a box                  the shell in it
 *	            none, monitor, off     the real shell, as the caller, unboxed
 *	            deny                   a sentence, 101
 *	no valid policy                    a sentence, 101
 *	uid 0                              the real shell, unboxed, whatever the policy says
 *	inside a box already               the real shell, with what only a last exec can carry
 *
 * The real shell is passwd's; where that is the helper itself, /bin/bash or /bin/sh.
 *
 * Uses: helper/keeper/visit, helper/policy, lib.
 */
#ifndef HELPER_SHELL_H
#define HELPER_SHELL_H

#include "helper/sanitise.h"

/*
 * Runs the caller's shell with the arguments as they came (argv[0]'s leading '-' makes it a
 * login shell). Returns the exit status of this program; where the shell died of a signal,
 * dies of the same.
 */
int shell_run(struct caller *caller, int argc, char **argv);

/*
 * The last exec inside a box, without privilege: applies what only it can carry, as the
 * marker says, and becomes the real shell. Refuses outside. Returns only on failure.
 */
int shell_last(const struct caller *caller, char **argv);

#endif
