/* The kernel, what is installed, sshd's configuration, and the state directory. */
#include "helper/admin/doctor.h"
#include "helper/admin/run.h"
#include "helper/build/box_systemd.h"
#include "helper/keeper/peer.h"
#include "helper/state/place.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void check_helper(struct findings *out)
{
	struct stat st;

	if (stat(LOGINBOX_HELPER, &st) < 0) {
		findings_add(out, SEVERITY_ERROR, LOGINBOX_HELPER,
			"install the package loginbox; until then every login that is to be boxed is refused",
			"%s", strerror(errno));
		return;
	}
	if (st.st_uid != 0 || (st.st_mode & 022))
		findings_add(out, SEVERITY_ERROR, LOGINBOX_HELPER, "chown root, chmod go-w",
			"somebody else than root can change it");
	if (!(st.st_mode & S_ISUID))
		findings_add(out, SEVERITY_NOTE, LOGINBOX_HELPER, "chmod 4755, if the shell door is wanted",
			"it is not set-user-ID root: the PAM door works, the shell door does not");
	if (stat(LOGINBOX_MODULE, &st) < 0)
		findings_add(out, SEVERITY_ERROR, LOGINBOX_MODULE,
			"install libpam-loginbox, or take its lines out of /etc/pam.d: they refuse everybody",
			"%s", strerror(errno));
	if (box_systemd_owns_groups() && !box_systemd_is_here())
		findings_add(out, SEVERITY_WARNING, LOGINBOX_SYSTEMD, "install it, it needs libsystemd",
			"systemd owns the control groups, and what asks it is not there: boxes with "
			"limits take logins out of logind's sessions");
}

static void check_namespaces(struct findings *out)
{
	static const char *const kinds[] = { "mnt", "pid", "net", "uts", "ipc", "cgroup" };
	char path[80], value[32];
	uint64_t most;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", kinds[i]);
		if (fdio_read_at(AT_FDCWD, path, value, sizeof(value)) < 0)
			continue;
		value[strcspn(value, "\n")] = '\0';
		if (text_to_u64(value, UINT64_MAX, &most) && most && most < 256)
			findings_add(out, SEVERITY_WARNING, path,
				"raise it: each box takes one of each kind",
				"this host may have %s namespaces of that kind", value);
	}
}

void doctor_host(struct findings *out)
{
	check_helper(out);
	check_namespaces(out);
}

static const char *option(const char *text, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL)
		if (strncmp(at, name, n) == 0 && at[n] == ' ') {
			snprintf(out, size, "%.*s", (int)strcspn(at + n + 1, "\n"), at + n + 1);
			return out;
		}
	return "";
}

void doctor_sshd(struct findings *out, bool uses_rhost)
{
	char value[256];
	struct stat st;

	if (stat("/usr/sbin/sshd", &st) < 0)
		return;
	OWN_STR text = calloc(1, 65536);
	/* sshd alone knows what its files mean. */
	static const char *const ask[] = { "/usr/sbin/sshd", "-T", NULL };
	if (!text || run_read(ask, text, 65536) <= 0) {
		findings_add(out, SEVERITY_NOTE, "sshd", "run 'sshd -T' and see why",
			"it could not be asked for its configuration");
		return;
	}
	if (strcmp(option(text, "usepam", value, sizeof(value)), "yes") != 0)
		findings_add(out, SEVERITY_ERROR, "sshd", "set 'UsePAM yes' in sshd_config",
			"UsePAM is not on: no ssh login is boxed");
	if (strcmp(option(text, "usedns", value, sizeof(value)), "yes") == 0)
		findings_add(out, uses_rhost ? SEVERITY_ERROR : SEVERITY_NOTE, "sshd",
			"set 'UseDNS no': rules by rhost refuse a login that comes with a name",
			"UseDNS is on: the name of the client is chosen by the client's DNS");
	if (strcmp(option(text, "chrootdirectory", value, sizeof(value)), "none") != 0)
		findings_add(out, SEVERITY_WARNING, "sshd",
			"take it out for users who are boxed: the directory is looked up inside the box",
			"ChrootDirectory is set (%s)", value);
}

struct dead {
	struct findings *out;
	unsigned n;
};

static int look_at_box(const struct place *place, const struct place_box *box, void *arg)
{
	struct dead *dead = arg;
	OWN_FD sock = peer_connect(box);

	(void)place;
	if (sock < 0 && (errno == ECONNREFUSED || errno == ENOENT))
		dead->n++;
	return 0;
}

void doctor_state(struct findings *out)
{
	struct place place = { .dir = -1 };
	struct dead dead = { .out = out };
	struct fail f = { 0 };
	char words[700];
	struct stat st;

	if (lstat(LOGINBOX_RUN, &st) < 0)
		return;
	if (lstat(LOGINBOX_RUN "/off", &st) == 0)
		findings_add(out, SEVERITY_WARNING, LOGINBOX_RUN "/off", "run 'loginbox on'",
			"it exists: nobody is boxed");
	if (place_open(&place, &f) < 0) {
		findings_add(out, SEVERITY_ERROR, LOGINBOX_RUN,
			"look who made it, remove it; the next login makes it anew", "%s",
			fail_word(&f, words, sizeof(words)));
		return;
	}
	place_each(&place, (uid_t)-1, look_at_box, &dead);
	if (dead.n)
		findings_add(out, SEVERITY_NOTE, LOGINBOX_RUN "/boxes",
			"run 'loginbox gc', or wait for the next login of those users",
			"%u boxes have died and left their notes", dead.n);
	place_close(&place);
}
