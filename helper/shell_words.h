/*
 * shell_words.h - the words and the environment with which the shell door starts a shell.
 *
 * Uses: helper/sanitise, lib/linux/account.
 */
#ifndef HELPER_SHELL_WORDS_H
#define HELPER_SHELL_WORDS_H

#include "helper/sanitise.h"
#include "lib/linux/account.h"

/*
 * The shell's argument list: what the helper was started with, untouched but for the name of
 * the program; `-name` where it asks for a login shell, as login(1) does. As sshd's
 * ForceCommand (no words, SSH_ORIGINAL_COMMAND in `env`) it is what the client asked for:
 * that command, or a login shell. NULL out of memory.
 */
char **shell_words(const char *shell, char **argv, char *const *env);

/*
 * Whether the helper itself is the forced command, so that SSH_ORIGINAL_COMMAND was meant for
 * it. As the login shell that runs another forced command it hands the variable on.
 */
bool shell_is_forced(char *const *argv, char *const *env);

/*
 * A boxed shell's environment, from nothing: passwd's, then what of the caller's may come
 * along. NULL out of memory.
 */
char **shell_environment(const struct caller *caller, const struct account *who, const char *home,
	const char *shell);

/* Takes the named variable out of an environment, in place. */
void shell_forget(char **env, const char *name);

/* SHELL names the real shell where it named the helper. */
void shell_name(char **env, const char *shell);

#endif
