#include "helper/policy/plan_parts.h"
#include "lib/base/text.h"

/*
 * What of /proc and /sys speaks of the whole host, and not of the box's own processes. The
 * user of a box is not root there, so most of it is a second wall.
 */
static const struct {
	char *path;
	enum step_op op;
} masks[] = {
	{ "/proc/kcore", STEP_HIDE },         /* the kernel's memory */
	{ "/proc/kmsg", STEP_HIDE },          /* reading takes messages away from syslog */
	{ "/proc/kallsyms", STEP_HIDE },      /* addresses of the kernel */
	{ "/proc/kpagecount", STEP_HIDE },    /* state of physical pages: rowhammer's map */
	{ "/proc/kpageflags", STEP_HIDE },
	{ "/proc/kpagecgroup", STEP_HIDE },
	{ "/proc/keys", STEP_HIDE },          /* keys are not in any namespace */
	{ "/proc/key-users", STEP_HIDE },     /* how many keys each user of the host has */
	{ "/proc/timer_list", STEP_HIDE },    /* names of the host's processes, addresses */
	{ "/proc/timer_stats", STEP_HIDE },   /* the same, kernels before 4.11 */
	{ "/proc/sched_debug", STEP_HIDE },   /* every task of the host, before 5.13 */
	{ "/proc/latency_stats", STEP_HIDE }, /* where the host's tasks wait */
	{ "/proc/slabinfo", STEP_HIDE },      /* heap layout of the kernel */
	{ "/proc/vmallocinfo", STEP_HIDE },   /* addresses of the kernel */
	{ "/proc/pagetypeinfo", STEP_HIDE },  /* layout of physical memory */
	{ "/proc/interrupts", STEP_HIDE },    /* timing of others' keys and packets */
	{ "/proc/softirqs", STEP_HIDE },
	{ "/proc/acpi", STEP_HIDE },          /* wake-up and power switches */
	{ "/proc/scsi", STEP_HIDE },          /* adds and removes disks */
	{ "/proc/asound", STEP_HIDE },        /* sound devices, which are not in the box */
	{ "/proc/bus", STEP_FREEZE },         /* PCI configuration space, input devices */
	{ "/proc/fs", STEP_FREEZE },          /* switches of file systems */
	{ "/proc/irq", STEP_FREEZE },         /* which processor serves which interrupt */
	{ "/proc/sys", STEP_FREEZE },         /* sysctl */
	{ "/proc/sysrq-trigger", STEP_FREEZE }, /* reboots the host */
	{ "/proc/mtrr", STEP_FREEZE },        /* cache type of physical memory */
	{ "/sys/firmware", STEP_HIDE },       /* ACPI tables, EFI variables */
	{ "/sys/kernel/debug", STEP_HIDE },
	{ "/sys/kernel/tracing", STEP_HIDE },
	{ "/sys/kernel/security", STEP_HIDE },
	{ "/sys/kernel/vmcoreinfo", STEP_HIDE }, /* addresses of the kernel */
	{ "/sys/fs/bpf", STEP_HIDE },
	{ "/sys/fs/pstore", STEP_HIDE },      /* the last crash's log */
	{ "/sys/devices/virtual/powercap", STEP_HIDE }, /* power meter: reads others' secrets */
};

static int add_sys(struct tree *t, struct fail *f)
{
	if (tree_is(t, KEY_SYS, "none"))
		return ADD(.op = STEP_HIDE, .target = "/sys");
	if (tree_is(t, KEY_SYS, "host"))
		return t->kind == ROOT_HOST || t->kind == ROOT_MIRROR
			? 0
			: ADD(.op = STEP_TREE, .target = "/sys", .source = "/sys",
				  .attr = NOSUID | NODEV | NOEXEC);
	return ADD(.op = STEP_SYSFS, .target = "/sys", .attr = RDONLY | NOSUID | NODEV | NOEXEC);
}

/* Whether the policy wants this part of the two hidden. */
static bool is_masked(const struct tree *t, const char *path)
{
	if (text_starts(path, "/sys/"))
		return tree_is(t, KEY_SYS, "read-only");
	return tree_is(t, KEY_PROC, "masked");
}

int plan_proc(struct tree *t, struct fail *f)
{
	if (ADD(.op = STEP_PROC, .target = "/proc",
		    .source = tree_is(t, KEY_PROCESSES, "hidden") ? "hidepid=invisible" : "", .attr = NOSUID | NODEV | NOEXEC) < 0 ||
		add_sys(t, f) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		bool freeze = masks[i].op == STEP_FREEZE;
		if (is_masked(t, masks[i].path) &&
			ADD(.op = masks[i].op, .target = masks[i].path,
				.attr = freeze ? RDONLY | NOSUID | NODEV | NOEXEC : 0) < 0)
			return -1;
	}
	return 0;
}
