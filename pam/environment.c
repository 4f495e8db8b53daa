#include "pam/environment.h"

#include "lib/base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* They are the caller's, made for the caller's processes on the host. */
static const char *const dead[ENVIRONMENT_DEAD] = { "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "WAYLAND_DISPLAY", "TMUX", "TMUX_PANE",
	"STY" };

/* What pam_systemd gives the user itself: of use only where the box shows it. */
static const char *const pams[] = { "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS" };

static bool leads_nowhere(const char *value)
{
	char path[4096];
	struct stat st;

	if (text_starts(value, "unix:path="))
		value += strlen("unix:path=");
	if (!text_copy(path, sizeof(path), value))
		return true;
	path[strcspn(path, ",;")] = '\0';
	return path[0] == '/' && lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

void environment_drop(struct environment *out, pam_handle_t *pamh)
{
	for (size_t i = 0; i < ENVIRONMENT_DEAD; i++) {
		const char *value = getenv(dead[i]);
		if (!value)
			continue;
		/* Out of memory: gone all the same, and then not put back. */
		out->was[i] = strdup(value);
		unsetenv(dead[i]);
	}
	for (size_t i = 0; i < sizeof(pams) / sizeof(pams[0]); i++) {
		const char *value = pam_getenv(pamh, pams[i]);
		if (value && leads_nowhere(value))
			pam_putenv(pamh, pams[i]);
	}
}

void environment_restore(struct environment *environment)
{
	for (size_t i = 0; i < ENVIRONMENT_DEAD; i++) {
		/* What the application has set by now is newer. */
		if (environment->was[i])
			setenv(dead[i], environment->was[i], 0);
	}
	environment_free(environment);
}

void environment_free(struct environment *environment)
{
	for (size_t i = 0; i < ENVIRONMENT_DEAD; i++) {
		free(environment->was[i]);
		environment->was[i] = NULL;
	}
}
