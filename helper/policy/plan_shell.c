#include "helper/policy/plan_shell.h"

#include "lib/base/text.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By name, and by inode for whoever reaches it through a link. */
static bool is_helper(const char *path)
{
	struct stat a, b;

	if (strcmp(path, LOGINBOX_HELPER) == 0)
		return true;
	return stat(path, &a) == 0 && stat(LOGINBOX_HELPER, &b) == 0 && a.st_dev == b.st_dev &&
		a.st_ino == b.st_ino;
}

static bool is_listed(const char *path)
{
	bool found = false;
	char *shell;

	setusershell();
	while (!found && (shell = getusershell()))
		found = strcmp(shell, path) == 0;
	endusershell();
	return found;
}

static bool is_executable(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static int check_shell(const char *path, struct fail *f)
{
	const char *why = NULL;

	if (*path != '/')
		why = "it is no absolute path";
	else if (is_helper(path))
		why = "it is the helper itself";
	else if (!is_executable(path))
		why = "it cannot be executed";
	else if (!is_listed(path))
		why = "it is not in /etc/shells";
	return why ? fail_say(f, FAIL_REFUSED, "run the shell", path, "%s", why) : 0;
}

int plan_shell(char *out, size_t size, const struct box *box, const struct account *account,
	struct fail *f)
{
	const char *shell = box->all.by_key[KEY_SHELL]->text;

	if (strcmp(shell, "passwd") == 0)
		shell = account->shell[0] ? account->shell : "/bin/sh"; /* passwd(5) */
	if (is_helper(shell))
		shell = is_executable("/bin/bash") ? "/bin/bash" : "/bin/sh";
	if (!text_copy(out, size, shell))
		return fail_say(f, FAIL_REFUSED, "run the shell", shell, "its name is too long");
	return check_shell(shell, f);
}

void plan_shell_unboxed(char *out, size_t size, const struct account *account)
{
	const char *shell = account->shell[0] ? account->shell : "/bin/sh"; /* passwd(5) */

	if (*shell != '/' || is_helper(shell))
		shell = is_executable("/bin/bash") ? "/bin/bash" : "/bin/sh";
	if (!text_copy(out, size, shell))
		text_copy(out, size, "/bin/sh");
}
