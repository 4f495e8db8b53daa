/*
 * keys.h - every key of the policy, one row each: what it is called, what it may hold,
 * what it holds when nobody wrote it, and what of it is built.
 *
 * The parser, check, explain, the search for the nearest name and the test of the manual
 * page all read this table. A new key is a row here and its use in plan.
 *
 * Uses: libc.
 */
#ifndef HELPER_POLICY_KEYS_H
#define HELPER_POLICY_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum section { IN_GLOBAL, IN_RULE, IN_BOX, IN_NETWORK };

enum key_kind {
	KIND_LATER,     /* named by the policy, not built: refused, never ignored */
	KIND_BOOL,      /* yes, no: also listed in `built` and `later` */
	KIND_WORD,      /* one of `built`; its number is its place there */
	KIND_WORDS,     /* a list of them, or none: a bit for each */
	KIND_NUMBER,    /* decimal */
	KIND_TIME,      /* 30s 10m 8h 30d: milliseconds */
	KIND_SIZE,      /* bytes with K M G T, or N% of memory */
	KIND_LIMIT,     /* soft:hard numbers, or one for both; unlimited; none: untouched */
	KIND_LIMIT_SIZE, /* the same in sizes */
	KIND_LIMIT_TIME, /* the same in seconds, or as a time */
	KIND_LEFTOVER,  /* kill, keep, each with :TIME or without */
	KIND_AMOUNT,    /* a size, or N% of memory, or unlimited */
	KIND_TASKS,     /* a number, -1 and unlimited: no limit */
	KIND_PERCENT,   /* of one processor, or unlimited */
	KIND_WEIGHT,    /* 1 to 10000 */
	KIND_SCORE,     /* -1000 to 1000 */
	KIND_CPUS,      /* a list of processors and ranges of them; or one of `built` */
	KIND_UMASK,     /* octal; or one of `built` */
	KIND_PAIR,      /* NAME=VALUE */
	KIND_RATE,      /* DEVICE:rbps=SIZE,wbps=SIZE,riops=N,wiops=N */
	KIND_VARIABLES, /* a list of names of variables, or none */
	KIND_TEXT,      /* free */
	KIND_NAME,      /* a name of a section, or one of `built` */
	KIND_PATH,      /* absolute, plain; or one of `built` */
	KIND_PATHS,     /* a list of paths, or none */
	KIND_TREE,      /* absolute, plain, with tokens; or one of `built` */
	KIND_TREES,     /* a list of them, or none */
	KIND_BIND,      /* source:target[:options] */
	KIND_WRITES,    /* one of `built`, or keep:DIR */
	KIND_TMPFS,     /* target[:options] */
	KIND_MOUNT_OPTIONS, /* ro, noexec, nosuid, nodev: MOUNT_ATTR_*; or none */
	KIND_TEMPLATE,  /* text with %u %U %g %G %h %H %%; or one of `built` */
	KIND_PATTERNS,  /* a list of names with * and ?, !x excludes; or none in [global] */
	KIND_RANGES,    /* a list of numbers and ranges, !x excludes */
	KIND_ADDRESSES, /* a list of addresses and CIDR, !x excludes */
	KIND_CAPS,      /* a list of capabilities, or none: a bit for each */
};

struct key {
	enum section section;
	const char *name;
	enum key_kind kind;
	const char *built;  /* words that are built, "a, b"; "" when the kind says it all */
	const char *later;  /* words that are not built yet; `*` stands for anything */
	const char *value;  /* when nobody wrote it; NULL: there is none */
	const char *wanted; /* the default that waits for a later version, or NULL */
	const char *help;
};

/* KEY(id, section, name, kind, built, later, value, wanted, help) */
#define POLICY_KEYS(KEY) \
	KEY(MODE, IN_GLOBAL, "mode", KIND_WORD, "off, monitor, enforce", "", "enforce", NULL, \
		"whether boxes are made, only logged, or nothing is done") \
	KEY(ON_ERROR, IN_GLOBAL, "on_error", KIND_WORD, "deny, allow", "", "deny", NULL, \
		"what a failed build of a valid policy does to a matched user") \
	KEY(EXEMPT_USERS, IN_GLOBAL, "exempt_users", KIND_PATTERNS, "none", "", "root", NULL, \
		"users who are never boxed") \
	KEY(EXEMPT_GROUPS, IN_GLOBAL, "exempt_groups", KIND_PATTERNS, "none", "", "none", NULL, \
		"groups whose members are never boxed") \
	KEY(EXEMPT_UIDS, IN_GLOBAL, "exempt_uids", KIND_RANGES, "none", "", "0", NULL, \
		"uids that are never boxed") \
	KEY(BREAK_GLASS, IN_GLOBAL, "break_glass", KIND_PATH, "none", "", "none", NULL, \
		"one more file that means 'box nobody' while it exists") \
	KEY(TIMEOUT, IN_GLOBAL, "timeout", KIND_TIME, "", "", "10s", NULL, \
		"for one whole build") \
	KEY(NESTED, IN_GLOBAL, "nested", KIND_WORD, "refuse, stay", "", "refuse", NULL, \
		"a session opened inside a box for another user") \
	KEY(FORBID, IN_GLOBAL, "forbid", KIND_WORDS, \
		"host-network, dev-allow, user-namespaces, new-privs", "", "none", NULL, \
		"features that no box may use") \
	KEY(MAX_BOXES, IN_GLOBAL, "max_boxes", KIND_NUMBER, "", "", "4096", NULL, \
		"ceiling of boxes for the host") \
\
	KEY(RULE_USER, IN_RULE, "user", KIND_PATTERNS, "", "", NULL, NULL, "the user") \
	KEY(RULE_UID, IN_RULE, "uid", KIND_RANGES, "", "", NULL, NULL, "the user's uid") \
	KEY(RULE_GROUP, IN_RULE, "group", KIND_PATTERNS, "", "", NULL, NULL, \
		"a group of the user, primary or supplementary") \
	KEY(RULE_SERVICE, IN_RULE, "service", KIND_PATTERNS, "", "", NULL, NULL, \
		"the PAM service") \
	KEY(RULE_RHOST, IN_RULE, "rhost", KIND_ADDRESSES, "", "", NULL, NULL, \
		"the client's address") \
	KEY(RULE_RUSER, IN_RULE, "ruser", KIND_PATTERNS, "", "", NULL, NULL, \
		"the caller of su or sudo") \
	KEY(RULE_BOX, IN_RULE, "box", KIND_NAME, "none, deny", "", NULL, NULL, \
		"a box, none or deny") \
	KEY(RULE_MODE, IN_RULE, "mode", KIND_WORD, "off, monitor, enforce", "", "enforce", NULL, \
		"as in [global]; the lower one counts") \
	KEY(RULE_COMMENT, IN_RULE, "comment", KIND_TEXT, "", "", NULL, NULL, \
		"shown by explain") \
\
	KEY(INHERIT, IN_BOX, "inherit", KIND_NAME, "", "", NULL, NULL, "one parent") \
	KEY(DESCRIPTION, IN_BOX, "description", KIND_TEXT, "", "", NULL, NULL, \
		"shown by explain") \
	KEY(SHARE, IN_BOX, "share", KIND_WORD, "user, session", "", "user", NULL, \
		"one box for all logins of a user, or one for each session") \
	KEY(ROOT, IN_BOX, "root", KIND_PATH, "empty", "", "/", NULL, "the tree") \
	KEY(READ_ONLY, IN_BOX, "read_only", KIND_TREES, "none", "", "/usr, /boot, /opt, /etc", \
		NULL, "read-only, with everything below") \
	KEY(WRITABLE, IN_BOX, "writable", KIND_TREES, "none", "", "none", NULL, \
		"writable again below a read-only path") \
	KEY(HIDE, IN_BOX, "hide", KIND_TREES, "none", "", "none", NULL, "empty or unreadable") \
	KEY(HOMES, IN_BOX, "homes", KIND_WORD, "own, all, none", "", "own", NULL, \
		"which homes are visible") \
	KEY(HOMES_IN, IN_BOX, "homes_in", KIND_PATHS, "none", "", "/home", NULL, \
		"where homes are") \
	KEY(HOME, IN_BOX, "home", KIND_TREE, "tmpfs", "", "%h", NULL, \
		"the directory seen at $HOME") \
	KEY(HOME_OPTIONS, IN_BOX, "home_options", KIND_MOUNT_OPTIONS, "none", "", "none", NULL, \
		"mount options of the home") \
	KEY(BIND, IN_BOX, "bind.LABEL", KIND_BIND, "none", "", NULL, NULL, \
		"a path of the host seen in the box") \
	KEY(TMPFS, IN_BOX, "tmpfs.LABEL", KIND_TMPFS, "none", "", NULL, NULL, "a fresh tmpfs") \
	KEY(TMP, IN_BOX, "tmp", KIND_WORD, "private, host", "", "private", NULL, \
		"/tmp and /var/tmp") \
	KEY(TMP_SIZE, IN_BOX, "tmp_size", KIND_SIZE, "", "", "10%", NULL, \
		"of both together") \
	KEY(SHM_SIZE, IN_BOX, "shm_size", KIND_SIZE, "", "", "5%", NULL, "of /dev/shm") \
	KEY(WRITES, IN_BOX, "writes", KIND_WRITES, "host, discard", "", "host", NULL, \
		"where writes to the tree go") \
	KEY(PROPAGATION, IN_BOX, "propagation", KIND_WORD, "private, autofs, slave", "", "private", \
		NULL, "mounts that the host makes later") \
	KEY(PROCESSES, IN_BOX, "processes", KIND_WORD, "own, hidden, all", "", "own", NULL, \
		"which processes are visible") \
	KEY(IPC, IN_BOX, "ipc", KIND_WORD, "private, host", "", "private", NULL, \
		"System V objects and message queues") \
	KEY(HOSTNAME, IN_BOX, "hostname", KIND_TEMPLATE, "", "", "%H", NULL, \
		"the box's host name") \
	KEY(DOMAINNAME, IN_BOX, "domainname", KIND_TEMPLATE, "none", "", "none", NULL, \
		"the box's NIS domain name") \
	KEY(DEV, IN_BOX, "dev", KIND_WORD, "minimal, host", "", "minimal", NULL, "/dev") \
	KEY(DEV_ALLOW, IN_BOX, "dev_allow", KIND_PATHS, "none", "", "none", NULL, \
		"more device nodes") \
	KEY(TERMINAL, IN_BOX, "terminal", KIND_WORD, "auto, relay", "", "auto", NULL, \
		"the login's terminal") \
	KEY(SYS, IN_BOX, "sys", KIND_WORD, "read-only, none, host", "", "read-only", NULL, "/sys") \
	KEY(PROC, IN_BOX, "proc", KIND_WORD, "masked, open", "", "masked", NULL, "/proc") \
	KEY(RUN, IN_BOX, "run", KIND_WORD, "minimal, host", "", "minimal", NULL, "/run") \
	KEY(RUN_ALLOW, IN_BOX, "run_allow", KIND_TREES, "none", "", "none", NULL, \
		"what of the host's /run exists") \
	KEY(LOG_SOCKET, IN_BOX, "log_socket", KIND_BOOL, "no, yes", "", "yes", NULL, "/dev/log") \
	KEY(SYSTEM_BUS, IN_BOX, "system_bus", KIND_BOOL, "no, yes", "", "no", NULL, \
		"D-Bus of the system") \
	KEY(USER_BUS, IN_BOX, "user_bus", KIND_BOOL, "no, yes", "", "no", NULL, \
		"D-Bus of the user") \
	KEY(CARRY, IN_BOX, "carry", KIND_WORDS, "KRB5CCNAME, SSH_AUTH_SOCK, XAUTHORITY", "", \
		"KRB5CCNAME, SSH_AUTH_SOCK, XAUTHORITY", NULL, \
		"what these variables name stays visible") \
	KEY(NETWORK, IN_BOX, "network", KIND_WORD, "host, none, path:*, *", "", "host", NULL, \
		"the network of the box") \
	KEY(NOFILE, IN_BOX, "nofile", KIND_LIMIT, "none", "", "none", NULL, "open files") \
	KEY(NPROC, IN_BOX, "nproc", KIND_LIMIT, "none", "", "none", NULL, \
		"processes of the user") \
	KEY(CORE, IN_BOX, "core", KIND_LIMIT_SIZE, "none", "", "0", NULL, "core dumps") \
	KEY(FSIZE, IN_BOX, "fsize", KIND_LIMIT_SIZE, "none", "", "none", NULL, "size of a file") \
	KEY(DATA, IN_BOX, "data", KIND_LIMIT_SIZE, "none", "", "none", NULL, "data segment") \
	KEY(STACK, IN_BOX, "stack", KIND_LIMIT_SIZE, "none", "", "none", NULL, "stack") \
	KEY(MEMLOCK, IN_BOX, "memlock", KIND_LIMIT_SIZE, "none", "", "none", NULL, \
		"locked memory") \
	KEY(AS, IN_BOX, "as", KIND_LIMIT_SIZE, "none", "", "none", NULL, "address space") \
	KEY(CPU_TIME, IN_BOX, "cpu_time", KIND_LIMIT_TIME, "none", "", "none", NULL, \
		"processor time of a process") \
	KEY(LOCKS, IN_BOX, "locks", KIND_LIMIT, "none", "", "none", NULL, "file locks") \
	KEY(SIGPENDING, IN_BOX, "sigpending", KIND_LIMIT, "none", "", "none", NULL, \
		"queued signals") \
	KEY(MSGQUEUE, IN_BOX, "msgqueue", KIND_LIMIT_SIZE, "none", "", "none", NULL, \
		"bytes in message queues") \
	KEY(NICE, IN_BOX, "nice", KIND_LIMIT, "none", "", "none", NULL, \
		"ceiling of the nice value, as 20 - nice") \
	KEY(RTPRIO, IN_BOX, "rtprio", KIND_LIMIT, "none", "", "none", NULL, \
		"real-time priority") \
	KEY(RSS, IN_BOX, "rss", KIND_LIMIT_SIZE, "none", "", "none", NULL, \
		"resident memory; Linux ignores it") \
	KEY(RTTIME, IN_BOX, "rttime", KIND_LIMIT, "none", "", "none", NULL, \
		"microseconds of a real-time process without a system call that waits") \
	KEY(MEMORY_MAX, IN_BOX, "memory_max", KIND_AMOUNT, "none", "", "none", NULL, "memory") \
	KEY(MEMORY_HIGH, IN_BOX, "memory_high", KIND_AMOUNT, "none", "", "none", NULL, \
		"memory before throttling") \
	KEY(SWAP_MAX, IN_BOX, "swap_max", KIND_AMOUNT, "none", "", "none", NULL, "swap") \
	KEY(TASKS_MAX, IN_BOX, "tasks_max", KIND_TASKS, "none", "", "4096", NULL, \
		"processes and threads") \
	KEY(CPU_MAX, IN_BOX, "cpu_max", KIND_PERCENT, "none", "", "none", NULL, "processor share") \
	KEY(CPU_WEIGHT, IN_BOX, "cpu_weight", KIND_WEIGHT, "none", "", "none", NULL, \
		"processor weight") \
	KEY(IO_WEIGHT, IN_BOX, "io_weight", KIND_WEIGHT, "none", "", "none", NULL, "disk weight") \
	KEY(IO_MAX, IN_BOX, "io_max.LABEL", KIND_RATE, "none", "", NULL, NULL, "disk rates") \
	KEY(OOM_SCORE_ADJ, IN_BOX, "oom_score_adj", KIND_SCORE, "", "", "0", NULL, \
		"preference of the out-of-memory killer") \
	KEY(AFFINITY, IN_BOX, "affinity", KIND_CPUS, "all", "", "all", NULL, "processors") \
	KEY(LIMIT_SCOPE, IN_BOX, "limit_scope", KIND_WORD, "user, session", "", "user", NULL, \
		"what the cgroup limits count over") \
	KEY(MAX_SESSIONS, IN_BOX, "max_sessions", KIND_NUMBER, "none", "", "none", NULL, \
		"concurrent logins") \
	KEY(SESSION_MAX, IN_BOX, "session_max", KIND_TIME, "none", "", "none", NULL, \
		"longest session") \
	KEY(LEFTOVER, IN_BOX, "leftover", KIND_LEFTOVER, "", "", "kill", NULL, \
		"what happens to processes after the last logout") \
	KEY(CAPABILITIES, IN_BOX, "capabilities", KIND_CAPS, "none", "", "none", NULL, \
		"bounding set that is kept") \
	KEY(AMBIENT, IN_BOX, "ambient", KIND_CAPS, "none", "", "none", NULL, \
		"capabilities raised for the user") \
	KEY(NO_NEW_PRIVS, IN_BOX, "no_new_privs", KIND_BOOL, "yes, no", "", "yes", NULL, \
		"set-uid programs gain nothing") \
	KEY(SECCOMP, IN_BOX, "seccomp", KIND_WORD, "default, none, /*", "", "default", NULL, \
		"filter of system calls") \
	KEY(USER_NAMESPACES, IN_BOX, "user_namespaces", KIND_BOOL, "no, yes", "", "no", NULL, \
		"whether the user may make user namespaces") \
	KEY(LANDLOCK, IN_BOX, "landlock", KIND_WORD, "auto, none", "", "auto", NULL, \
		"write only where the plan says so") \
	KEY(USERNS, IN_BOX, "userns", KIND_WORD, "host, self", "", "host", NULL, \
		"user namespace of the box") \
	KEY(APPARMOR, IN_BOX, "apparmor", KIND_TEXT, "", "", "inherited", NULL, \
		"AppArmor profile") \
	KEY(SELINUX, IN_BOX, "selinux", KIND_TEXT, "", "", "inherited", NULL, "SELinux label") \
	KEY(GROUPS_ADD, IN_BOX, "groups_add", KIND_PATTERNS, "none", "", "none", NULL, "more groups") \
	KEY(UMASK, IN_BOX, "umask", KIND_UMASK, "login.defs", "", "login.defs", NULL, "file mode mask") \
	KEY(ENV, IN_BOX, "env.LABEL", KIND_PAIR, "none", "", NULL, NULL, \
		"a variable of the environment") \
	KEY(ENV_UNSET, IN_BOX, "env_unset", KIND_VARIABLES, "none", "", "none", NULL, \
		"variables to remove") \
	KEY(WORKDIR, IN_BOX, "workdir", KIND_TEMPLATE, "", "", "%h", NULL, \
		"where the session starts") \
	KEY(SHELL, IN_BOX, "shell", KIND_PATH, "passwd", "", "passwd", NULL, \
		"what the shell door runs") \
\
	KEY(NET_BRIDGE, IN_NETWORK, "bridge", KIND_TEXT, "", "", NULL, NULL, \
		"boxes are ports of this bridge; without it each has a link of its own") \
	KEY(NET_SUBNET, IN_NETWORK, "subnet", KIND_ADDRESSES, "", "", NULL, NULL, \
		"the pool of IPv4 addresses") \
	KEY(NET_SUBNET6, IN_NETWORK, "subnet6", KIND_ADDRESSES, "", "", NULL, NULL, \
		"the pool of IPv6 addresses") \
	KEY(NET_ADDRESS, IN_NETWORK, "address", KIND_TEXT, "", "", "by-uid", NULL, \
		"by-uid, by-session, or fixed addresses") \
	KEY(NET_UIDS, IN_NETWORK, "uids", KIND_RANGES, "", "", NULL, NULL, \
		"the users that have an address by uid") \
	KEY(NET_GATEWAY, IN_NETWORK, "gateway", KIND_TEXT, "", "", NULL, NULL, \
		"the host's IPv4 address in the network") \
	KEY(NET_GATEWAY6, IN_NETWORK, "gateway6", KIND_TEXT, "", "", NULL, NULL, \
		"the host's IPv6 address in the network") \
	KEY(NET_ROUTE, IN_NETWORK, "route.LABEL", KIND_TEXT, "", "", NULL, NULL, \
		"one more route: CIDR, via ADDRESS, src ADDRESS") \
	KEY(NET_MTU, IN_NETWORK, "mtu", KIND_NUMBER, "", "", NULL, NULL, \
		"longest packet of the link") \
	KEY(NET_IFNAME, IN_NETWORK, "ifname", KIND_TEXT, "", "", "eth0", NULL, \
		"what the link is called in the box") \
	KEY(NET_PEERS, IN_NETWORK, "peers", KIND_WORD, "isolated, open", "", "isolated", NULL, \
		"whether boxes of this network reach each other") \
	KEY(NET_MASQUERADE, IN_NETWORK, "masquerade", KIND_BOOL, "no, yes", "", "no", NULL, \
		"the host forwards, under its own address") \
	KEY(NET_ALLOW_OUT, IN_NETWORK, "allow_out", KIND_TEXT, "", "", "any", NULL, \
		"what a box may open connections to") \
	KEY(NET_DENY_OUT, IN_NETWORK, "deny_out", KIND_TEXT, "", "", "none", NULL, \
		"what it may not, counted first") \
	KEY(NET_DNS, IN_NETWORK, "dns", KIND_TEXT, "", "", "host", NULL, \
		"the box's name servers") \
	KEY(NET_RATE, IN_NETWORK, "rate", KIND_TEXT, "", "", "none", NULL, \
		"most bits a second, in each direction")

enum key_id {
#define POLICY_KEY_ID(id, ...) KEY_##id,
	POLICY_KEYS(POLICY_KEY_ID)
#undef POLICY_KEY_ID
	KEY_COUNT
};

extern const struct key key_table[KEY_COUNT];

/* "[box]" and so on, for messages. */
const char *key_section_name(enum section section);

/*
 * The row of `name` in a section, or NULL. A labelled key ("bind.www") is found under
 * "bind.LABEL".
 */
const struct key *key_find(enum section section, const char *name);

/* Whether the row is of a key with a label: "bind.LABEL". */
bool key_is_labelled(const struct key *key);

/* The name in the section that is nearest to a misspelt one, or NULL when none is near. */
const char *key_nearest(enum section section, const char *name);

/* The place of `word` in a list "a, b", or -1; `*` at the end of a listed word stands for
 * anything. */
int key_word(const char *list, const char *word);

static inline enum key_id key_id(const struct key *key)
{
	return (enum key_id)(key - key_table);
}

#endif
