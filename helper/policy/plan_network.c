#include "helper/policy/plan_network.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLV "/etc/resolv.conf"
#define RESOLV_UPSTREAM "/run/systemd/resolve/resolv.conf"
#define RESOLV_MAX 8192

int plan_network(struct plan *plan, const struct policy *policy, const struct box *box,
	struct fail *f)
{
	const char *says = box->all.by_key[KEY_NETWORK]->text;
	const struct policy_network *named = policy_find_network(policy, says);
	uint64_t slot;

	if (strcmp(says, "host") == 0)
		return 0;
	if (text_starts(says, "path:")) {
		plan->net = PLAN_NET_PATH;
		return text_copy(plan->net_path, sizeof(plan->net_path), says + 5)
			? 0
			: fail_err(f, ENAMETOOLONG, "make the plan", says);
	}
	plan->namespaces |= CLONE_NEWNET;
	plan->loopback = true;
	plan->net = named ? PLAN_NET_NAMED : PLAN_NET_NONE;
	if (!named)
		return 0;
	memcpy(&plan->network, &named->net, sizeof(plan->network));
	return named->net.how == ADDRESS_BY_UID
		? network_slot(&named->net, plan->account->uid, &slot, f)
		: 0;
}

/* ---- names ------------------------------------------------------------------------------ */

static bool is_loopback(const char *server)
{
	struct address a;
	char word[64];
	size_t n = strcspn(server, " \t\n");

	if (n >= sizeof(word))
		return false;
	memcpy(word, server, n);
	word[n] = '\0';
	if (!address_read(&a, word))
		return false;
	return a.six ? memcmp(a.bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0
		     : a.bytes[0] == 127;
}

/* Whether a line names a server that a box cannot reach. */
static bool names_loopback(const char *text)
{
	for (const char *line = text; line && *line;) {
		if (text_starts(line, "nameserver") &&
			is_loopback(line + 10 + strspn(line + 10, " \t")))
			return true;
		line = strchr(line, '\n');
		line += line ? 1 : 0;
	}
	return false;
}

/* The text that the box's resolver shall read; false: the host's own file as it is. */
static bool make_text(const struct network *net, char *out, size_t size)
{
	struct text t = text_in(out, size);
	char address[46];

	for (size_t i = 0; i < net->n_servers; i++)
		text_add(&t, "nameserver %s\n", address_text(&net->servers[i], address));
	if (!net->dns_of_host)
		return true;
	struct stat st;
	if (fstatat(AT_FDCWD, RESOLV, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		fdio_read_at(AT_FDCWD, RESOLV, out, size) < 0)
		return false;
	if (names_loopback(out))
		return fdio_read_at(AT_FDCWD, RESOLV_UPSTREAM, out, size) >= 0;
	/* A link leads into the host's /run, which is not in the box. */
	return S_ISLNK(st.st_mode);
}

#define ADD(...) plan_add_step(plan, (struct step){ __VA_ARGS__ }, f)

/* Where the host's name leads into /run, which the box has of its own: made there. */
static int add_below_run(struct plan *plan, const char *target, char *text, struct fail *f)
{
	char path[256];

	for (const char *slash = strchr(target + 5, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(slash - target), target);
		if (ADD(.op = STEP_DIR, .target = path, .mode = 0755) < 0)
			return -1;
	}
	snprintf(path, sizeof(path), "%s", target);
	return ADD(.op = STEP_FILE, .target = path, .source = text, .mode = 0644);
}

/* Whether the box has a /run of its own, in which names can be made. */
static bool has_run(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == STEP_TMPFS && strcmp(plan->steps[i].target, "/run") == 0)
			return true;
	return false;
}

bool plan_network_reaches_dns(const struct network *net)
{
	char text[RESOLV_MAX];

	if (!net->dns_of_host || make_text(net, text, sizeof(text)))
		return !net->dns_of_host || !names_loopback(text);
	return fdio_read_at(AT_FDCWD, RESOLV, text, sizeof(text)) < 0 || !names_loopback(text);
}

int plan_network_dns(struct plan *plan, struct fail *f)
{
	char text[RESOLV_MAX], target[256] = "";
	struct stat st;

	if (plan->net != PLAN_NET_NAMED || !make_text(&plan->network, text, sizeof(text)))
		return 0;
	if (fstatat(AT_FDCWD, RESOLV, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return plan->network.dns_of_host ? 0 : fail_sys(f, "cover", RESOLV);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(AT_FDCWD, RESOLV, target, sizeof(target) - 1);
		char *run = n > 0 ? strstr(target, "/run/") : NULL;
		if (n <= 0 || !run || (run != target &&
						!text_starts(target, "../run/")) ||
			strstr(run, "/../") || text_starts(run, LOGINBOX_RUN "/"))
			return fail_say(f, FAIL_REFUSED, "cover", RESOLV,
				"it is a link to elsewhere than /run");
		return has_run(plan) ? add_below_run(plan, run, text, f)
				     : ADD(.op = STEP_TEXT, .target = run, .source = text);
	}
	return ADD(.op = STEP_TEXT, .target = RESOLV, .source = text);
}
