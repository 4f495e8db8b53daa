#include "helper/shell_words.h"

#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>

#define USER_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
#define INTERNAL_SFTP "internal-sftp"
#define SFTP_SERVER "/usr/lib/openssh/sftp-server"

static const char *value_of(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static char *keep(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* sshd would have served this itself, outside: its program does the same inside. */
static const char *translate(const char *command)
{
	char *out;

	if (!text_starts(command, INTERNAL_SFTP))
		return command;
	const char *rest = command + strlen(INTERNAL_SFTP);
	if (*rest && *rest != ' ')
		return command;
	return asprintf(&out, "%s%s", SFTP_SERVER, rest) < 0 ? NULL : out;
}

/* The shell's own name, or with a '-' before it. */
static char *program_name(const char *shell, bool login)
{
	const char *base = strrchr(shell, '/');
	char *name;

	if (!login)
		return keep(shell);
	return asprintf(&name, "-%s", base ? base + 1 : shell) < 0 ? NULL : name;
}

bool shell_is_forced(char *const *argv, char *const *env)
{
	return !argv[1] && argv[0][0] != '-' && value_of(env, "SSH_CONNECTION");
}

char **shell_words(const char *shell, char **argv, char *const *env)
{
	const char *asked = value_of(env, "SSH_ORIGINAL_COMMAND");
	bool login = argv[0][0] == '-';

	if (!shell_is_forced(argv, env)) {
		argv[0] = program_name(shell, login);
		return argv[0] ? argv : NULL;
	}
	static char *words[4];
	const char *command = asked && *asked ? translate(asked) : NULL;
	if (asked && *asked && !command)
		return NULL;
	words[0] = program_name(shell, !command);
	words[1] = command ? keep("-c") : NULL;
	words[2] = keep(command);
	return words[0] ? words : NULL;
}

char **shell_environment(
	const struct caller *caller, const struct account *who, const char *home, const char *shell)
{
	static char *env[CALLER_ENV_MAX + 8];
	size_t n = 0;

	if (asprintf(&env[n++], "HOME=%s", home) < 0 ||
		asprintf(&env[n++], "USER=%s", who->name) < 0 ||
		asprintf(&env[n++], "LOGNAME=%s", who->name) < 0 ||
		asprintf(&env[n++], "SHELL=%s", shell) < 0)
		return NULL;
	env[n++] = keep("PATH=" USER_PATH);
	for (size_t i = 0; caller->env[i]; i++)
		env[n++] = caller->env[i];
	env[n] = NULL;
	return env;
}

void shell_forget(char **env, const char *name)
{
	size_t n = strlen(name), kept = 0;

	for (size_t i = 0; env[i]; i++)
		if (strncmp(env[i], name, n) != 0 || env[i][n] != '=')
			env[kept++] = env[i];
	env[kept] = NULL;
}

void shell_name(char **env, const char *shell)
{
	for (; *env; env++) {
		char *pair;
		if (strcmp(*env, "SHELL=" LOGINBOX_HELPER) == 0 &&
			asprintf(&pair, "SHELL=%s", shell) >= 0)
			*env = pair;
	}
}
