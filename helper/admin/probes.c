#include "helper/admin/probes.h"

#include "helper/policy/plan_network.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

bool probe_says(const struct probe_of *of, enum key_id key, const char *word)
{
	const struct setting *s = of->box->all.by_key[key];
	return s && strcmp(s->text, word) == 0;
}

bool probe_is_set(const struct probe_of *of, enum key_id key)
{
	const struct setting *s = of->box->all.by_key[key];
	return s && strcmp(s->text, "none") != 0;
}

/* ---- namespaces ----------------------------------------------------------------------- */

static bool has_space(const char *kind, char *why, size_t size)
{
	char path[80], value[32];
	uint64_t most;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (access(path, F_OK) < 0) {
		snprintf(why, size, "this kernel has no %s namespaces", kind);
		return false;
	}
	snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", kind);
	if (fdio_read_at(AT_FDCWD, path, value, sizeof(value)) < 0)
		return true;
	value[strcspn(value, "\n")] = '\0';
	if (text_to_u64(value, UINT64_MAX, &most) && most == 0) {
		snprintf(why, size, "%s is 0", path);
		return false;
	}
	return true;
}

static bool wants_always(const struct probe_of *of)
{
	(void)of;
	return true;
}

static bool wants_pids(const struct probe_of *of)
{
	return probe_says(of, KEY_PROCESSES, "own");
}

static bool wants_ipc(const struct probe_of *of)
{
	return probe_says(of, KEY_IPC, "private");
}

static bool wants_net(const struct probe_of *of)
{
	const struct setting *s = of->box->all.by_key[KEY_NETWORK];
	return s && strcmp(s->text, "host") != 0 && !text_starts(s->text, "path:");
}

static bool wants_userns(const struct probe_of *of)
{
	return probe_says(of, KEY_USERNS, "self");
}

static bool can_basic(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return has_space("mnt", why, size) && has_space("uts", why, size) &&
		has_space("cgroup", why, size);
}

static bool can_pids(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return has_space("pid", why, size);
}

static bool can_ipc(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return has_space("ipc", why, size);
}

static bool can_net(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return has_space("net", why, size);
}

static bool can_userns(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return has_space("user", why, size);
}

/* ---- what the box names ------------------------------------------------------------------ */

static bool wants_links(const struct probe_of *of)
{
	return probe_network(of) != NULL;
}

static bool wants_rules(const struct probe_of *of)
{
	return probe_network(of) != NULL;
}

static bool wants_names(const struct probe_of *of)
{
	return probe_network(of) && probe_network(of)->net.dns_of_host;
}

static bool can_names(const struct probe_of *of, char *why, size_t size)
{
	if (plan_network_reaches_dns(&probe_network(of)->net))
		return true;
	snprintf(why, size, "/etc/resolv.conf names a server on the host's loopback, and its upstream "
			    "list is nowhere");
	return false;
}

static bool wants_path(const struct probe_of *of)
{
	const struct setting *s = of->box->all.by_key[KEY_NETWORK];
	return s && text_starts(s->text, "path:");
}

static bool can_path(const struct probe_of *of, char *why, size_t size)
{
	const char *path = of->box->all.by_key[KEY_NETWORK]->text + strlen("path:");
	struct statfs fs;

	if (strchr(path, '%'))
		return true;
	if (statfs(path, &fs) < 0)
		snprintf(why, size, "%s: %s", path, strerror(errno));
	else if (fs.f_type != 0x6e736673) /* NSFS_MAGIC */
		snprintf(why, size, "%s is no namespace: run 'ip netns add'", path);
	else
		return true;
	return false;
}

static bool wants_root(const struct probe_of *of)
{
	const struct setting *s = of->box->all.by_key[KEY_ROOT];
	return s && s->text[0] == '/' && s->text[1] && !strchr(s->text, '%');
}

static bool can_root(const struct probe_of *of, char *why, size_t size)
{
	const char *root = of->box->all.by_key[KEY_ROOT]->text;
	struct fail f = { 0 };
	OWN_FD dir = -1;

	if (path_open_directory(&dir, root, &f) == 0)
		return true;
	snprintf(why, size, "%s: %s", root, f.err ? strerror(f.err) : f.rule);
	return false;
}

static bool wants_binds(const struct probe_of *of)
{
	return of->box->all.n_labelled > 0;
}

/* As a login opens it: links to directories that root made are followed, others never. */
static int look_at_source(const char *source)
{
	char real[2048];
	struct stat st;

	if (!path_find_way(source, PATH_ANYWHERE, real, sizeof(real)) || lstat(real, &st) < 0)
		return errno;
	return S_ISLNK(st.st_mode) ? ELOOP : 0;
}

/* Sources with tokens, and optional ones, are a login's matter. */
static bool can_binds(const struct probe_of *of, char *why, size_t size)
{
	char source[1024];

	for (size_t i = 0; i < of->box->all.n_labelled; i++) {
		const struct setting *s = of->box->all.labelled[i];
		size_t n = strcspn(s->text, ":");
		if (s->key != &key_table[KEY_BIND] || s->text[0] != '/' || strstr(s->text, "optional") ||
			memchr(s->text, '%', n) || n >= sizeof(source))
			continue;
		snprintf(source, sizeof(source), "%.*s", (int)n, s->text);
		int err = look_at_source(source);
		if (!err)
			continue;
		snprintf(why, size, "bind.%s: %s: %s", s->label, source, strerror(err));
		return false;
	}
	return true;
}

static bool wants_overlay(const struct probe_of *of)
{
	for (size_t i = 0; i < of->box->all.n_labelled; i++) {
		const struct setting *s = of->box->all.labelled[i];
		if (s->key == &key_table[KEY_TMPFS] && strstr(s->text, "copy-up"))
			return true;
	}
	return probe_is_set(of, KEY_WRITES) && !probe_says(of, KEY_WRITES, "host");
}

static bool wants_hidepid(const struct probe_of *of)
{
	return probe_says(of, KEY_PROCESSES, "hidden");
}

static bool wants_call_filter(const struct probe_of *of)
{
	return probe_is_set(of, KEY_SECCOMP) || probe_says(of, KEY_USER_NAMESPACES, "no");
}

static bool wants_share(const struct probe_of *of)
{
	return !probe_says(of, KEY_AFFINITY, "all") || !probe_says(of, KEY_OOM_SCORE_ADJ, "0");
}

#define NEWER "boxes cannot be built: use a newer kernel, or lift the filter that denies it"
#define RAISE "raise it: each box takes one of each kind"

static const struct probe probes[] = {
	{ "mount interface", wants_always, probe_can_mount, NEWER },
	{ "namespaces", wants_always, can_basic, RAISE },
	{ "processes = own", wants_pids, can_pids, RAISE },
	{ "ipc = private", wants_ipc, can_ipc, RAISE },
	{ "a network of its own", wants_net, can_net, RAISE },
	{ "links and bridges", wants_links, probe_can_link,
		"load the modules veth and bridge, or take another network" },
	{ "packet rules", wants_rules, probe_can_filter_packets,
		"load the module nf_tables and install libnftables1" },
	{ "IPv6 of a network", probe_wants_six, probe_can_six,
		"switch it on, or take subnet6 out", true },
	{ "subnet of a network", wants_links, probe_can_subnet,
		"take a subnet that is nobody's: the host would have two ways to one address", true,
		true },
	{ "dns = host", wants_names, can_names, "name servers that a box can reach, or say dns = none" },
	{ "network = path:", wants_path, can_path, "make it at boot, before the first login", true },
	{ "userns = self", wants_userns, can_userns, RAISE },
	{ "root", wants_root, can_root, "prepare the tree; root owns it all the way up", true },
	{ "bind", wants_binds, can_binds, "make it, or say 'optional'", true },
	{ "writes", wants_overlay, probe_can_overlay, "load the module overlay, or do without writes and copy-up" },
	{ "writes = keep", probe_wants_keep, probe_can_keep,
		"make it: root's with mode 0700, all above root's alone, on a disk that takes overlays",
		true },
	{ "processes = hidden", wants_hidepid, probe_can_hidepid, "use Linux 5.8, or processes = own" },
	{ "seccomp", wants_call_filter, probe_can_filter_calls,
		"use a kernel with CONFIG_SECCOMP_FILTER" },
	{ "limits of a box", wants_always, probe_can_group,
		"mount the cgroup hierarchy writable with this controller, or take the key out", true },
	{ "hard limits", wants_always, probe_can_raise, "raise it where the services are started",
		true, true },
	{ "share of the host", wants_share, probe_can_share,
		"name processors that there are, and no score below 0 without CAP_SYS_RESOURCE", true },
	{ "label", wants_always, probe_can_label, "load it, or say 'inherited'", true },
};

static bool is_given(const struct policy *policy, const struct box *box)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rules[i]->gives == RULE_BOX && policy->rules[i]->box == box)
			return true;
	return false;
}

static void run(const struct probe *probe, const struct policy *policy, struct findings *out)
{
	char why[512];
	size_t asked = 0;

	for (size_t i = 0; i < policy->n_boxes; i++) {
		struct probe_of of = { policy, policy->boxes[i] };
		bool counts = is_given(policy, of.box) || (i == 0 && probe->wants == wants_always);
		if (!counts || !probe->wants(&of) || (asked++ && !probe->for_each))
			continue;
		if (!probe->can(&of, why, sizeof(why)))
			findings_add(out, probe->warns ? SEVERITY_WARNING : SEVERITY_ERROR,
				of.box->at[0] ? of.box->at : of.box->name,
				probe->todo, "%s: %s", probe->name, why);
	}
}

void probes_run(const struct policy *policy, struct findings *out)
{
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		run(&probes[i], policy, out);
}
