#include "helper/policy/plan.h"

#include "lib/base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static void print_attr(uint64_t attr, FILE *to)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} names[] = {
		{ MOUNT_ATTR_RDONLY, "ro" },
		{ MOUNT_ATTR_NOSUID, "nosuid" },
		{ MOUNT_ATTR_NODEV, "nodev" },
		{ MOUNT_ATTR_NOEXEC, "noexec" },
	};
	const char *before = " ";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(attr & names[i].bit))
			continue;
		fprintf(to, "%s%s", before, names[i].name);
		before = ",";
	}
}

static const char *const verbs[] = {
	[STEP_ATTR] = "flags",
	[STEP_TREE] = "bind",
	[STEP_TMPFS] = "tmpfs",
	[STEP_LAYER] = "layer",
	[STEP_SCRATCH] = "scratch",
	[STEP_DROP] = "drop",
	[STEP_COVER] = "cover",
	[STEP_HOME] = "home",
	[STEP_PROC] = "proc",
	[STEP_SYSFS] = "sysfs",
	[STEP_DEVPTS] = "devpts",
	[STEP_MQUEUE] = "mqueue",
	[STEP_DIR] = "dir",
	[STEP_FILE] = "file",
	[STEP_LINK] = "link",
	[STEP_NODE] = "node",
	[STEP_HIDE] = "hide",
	[STEP_FREEZE] = "freeze",
	[STEP_ROOT] = "root",
	[STEP_THAW] = "thaw",
	[STEP_UPPER] = "layers",
	[STEP_OVERLAY] = "overlay",
	[STEP_TEXT] = "text",
	[STEP_ALSO] = "also",
	[STEP_SEAL] = "seal",
	[STEP_LOG_SOCKET] = "log",
	[STEP_MARKER] = "marker",
};

/* A user may have made the name, by a mount of the user's own: none of it reaches a terminal. */
static void print_path(const char *before, const char *path, FILE *to)
{
	char shown[PATH_MAX];

	snprintf(shown, sizeof(shown), "%s", path);
	text_clean(shown);
	fprintf(to, "%s%s", before, shown);
}

static const char *before_source(enum step_op op)
{
	switch (op) {
	case STEP_COVER:
	case STEP_PROC:
		return " with ";
	case STEP_SCRATCH:
		return " and ";
	case STEP_LINK:
		return " to ";
	default:
		return " from ";
	}
}

static void print_step(const struct step *step, FILE *to)
{
	fprintf(to, "%-7s", verbs[step->op]);
	print_path(" ", step->target, to);
	if (step->op == STEP_TEXT && step->source[0])
		fprintf(to, " of %zu bytes", strlen(step->source));
	else if (step->source[0])
		print_path(before_source(step->op), step->source, to);
	if (step->op == STEP_NODE)
		fprintf(to, " %u:%u", major(step->dev), minor(step->dev));
	if (step->mode)
		fprintf(to, " mode=%04o", (unsigned)step->mode);
	if (step->uid)
		fprintf(to, " uid=%u", step->uid);
	if (step->gid)
		fprintf(to, " gid=%u", step->gid);
	if (step->size)
		fprintf(to, " size=%" PRIu64, step->size);
	print_attr(step->attr, to);
	if (step->flags & STEP_FOLLOWS)
		fputs(" slave", to);
	if (step->flags & STEP_OPTIONAL)
		fputs(" optional", to);
	if (step->flags & (STEP_USERS_SOURCE | STEP_USERS_TARGET))
		fputs(" as the user", to);
	fputc('\n', to);
}

/* Ranges as FIRST-LAST: every id is itself on both sides. */
static void print_map(const char *name, const char *map, FILE *to)
{
	char *end;

	fprintf(to, " %s", name);
	for (const char *line = map; *line; line = *end ? end + 1 : end) {
		unsigned long first = strtoul(line, &end, 10);
		strtoul(end, &end, 10);
		unsigned long count = strtoul(end, &end, 10);
		fprintf(to, "%s%lu", line == map ? " " : ",", first);
		if (count > 1)
			fprintf(to, "-%lu", first + count - 1);
	}
}

static void print_userns(const struct plan *plan, FILE *to)
{
	fputs("userns ", to);
	print_map("uid", plan->uid_map, to);
	print_map("gid", plan->gid_map, to);
	fprintf(to, "%s%s\n", plan->userns_setgroups ? "" : ", no setgroups",
		plan->userns_nested ? "" : ", none inside");
}

void plan_print(const struct plan *plan, FILE *to)
{
	if (plan->net == PLAN_NET_PATH)
		fprintf(to, "network joined at %s\n", plan->net_path);
	if (plan->net == PLAN_NET_NAMED)
		network_print(&plan->network, to);
	for (size_t i = 0; i < plan->n_steps; i++)
		print_step(&plan->steps[i], to);
	if (plan->uid_map)
		print_userns(plan, to);
	if (plan->device_rules)
		fputs("devices only these and terminals, where a control group can say so\n", to);
}
