/*
 * wire.h - what module, helper and keeper say to each other, as plain structs.
 *
 * One SEQPACKET message each; no pointers; strings end inside their field. Both sides are
 * built from this file, and the version stands in every head: a module of another version
 * is refused by the helper and the other way round.
 *
 * For boxes that outlive an upgrade some of it never changes, in any version: the head, the
 * numbers of STATUS, STATE and KILL, and uid, init_pid and n_sessions of struct wire_state.
 *
 * The session's socket: the module makes a pair, the helper gets one end as descriptor 3
 * and hands it to the keeper, which answers WIRE_VERDICT and later serves WIRE_CLOSE.
 *
 * Uses: lib/base/fail.h.
 */
#ifndef LIB_WIRE_WIRE_H
#define LIB_WIRE_WIRE_H

#include "lib/base/fail.h"

#include <stdint.h>

#define WIRE_MAGIC 0x6c6f6762u /* "logb" */
#ifndef WIRE_VERSION /* tests build a second product with another one */
#define WIRE_VERSION 4u
#endif

enum wire_kind {
	WIRE_OPEN = 1, /* module -> helper: struct wire_open, descriptors WIRE_FD_* */
	WIRE_VERDICT,  /* helper or keeper -> module: struct wire_verdict, init's pidfd, filter */
	WIRE_CLOSE,    /* module -> keeper: struct wire_head; also "I gave up" */
	WIRE_BACK,     /* keeper -> module: struct wire_head, WIRE_BACK_* */
	WIRE_JOIN,     /* helper -> keeper: struct wire_join, WIRE_FD_*, session's socket */
	WIRE_JOINED,   /* keeper -> helper: struct wire_head */
	WIRE_REFUSED,  /* keeper -> helper: struct wire_head; this box is not the one */
	WIRE_STATUS,   /* who asks -> keeper: struct wire_head */
	WIRE_STATE,    /* keeper -> who asks: struct wire_state */
	WIRE_KILL,     /* who asks -> keeper: struct wire_head; closed when the box is gone */
};

struct wire_head {
	uint32_t magic, version, kind;
};

#define WIRE_HEAD(k) ((struct wire_head){ WIRE_MAGIC, WIRE_VERSION, (k) })

static inline int wire_is(const struct wire_head *h, uint32_t kind)
{
	return h->magic == WIRE_MAGIC && h->version == WIRE_VERSION && h->kind == kind;
}

/* The same for the few messages that every version understands. */
static inline int wire_is_any(const struct wire_head *h, uint32_t kind)
{
	return h->magic == WIRE_MAGIC && h->kind == kind;
}

/* Descriptors that go with a session: the way back (ns.h's directory, the working one), the
 * process. */
enum wire_fd {
	WIRE_FD_NS,
	WIRE_FD_CWD,
	WIRE_FD_PROCESS,
	WIRE_FDS,
	WIRE_FD_TTY = WIRE_FDS,    /* up to WIRE_TTYS terminals of the host's */
	WIRE_FD_SOCKET = WIRE_FDS, /* in WIRE_JOIN only, and the terminals after it */
};

/* Descriptors of the way back: the directory, then ns_return()'s one or six. */
enum wire_back {
	WIRE_BACK_CWD,
	WIRE_BACK_NS,
	WIRE_BACK_MOST = WIRE_BACK_NS + 6,
};

#define WIRE_TTYS 4 /* sudo has its caller's and one that it made */

#define WIRE_CONF_DEFAULT "" /* the compiled-in directory of the policy */

/* Variables of the PAM environment, in the order of the policy's `carry`. */
#define WIRE_CARRIES 3
#define WIRE_CARRIED { "KRB5CCNAME", "SSH_AUTH_SOCK", "XAUTHORITY" }

struct wire_open {
	struct wire_head head;
	uint32_t ruid;        /* real uid of the asking process at entry */
	uint32_t deadline_ms; /* how long the module will wait in all */
	char user[256], service[64], rhost[256], tty[64], conf[256];
	char carry[WIRE_CARRIES][256]; /* what these of WIRE_CARRIED name, "" for nothing */
};

enum wire_answer {
	WIRE_IGNORE = 1, /* not boxed: no rule, exempt, off */
	WIRE_MONITOR,    /* not boxed: would have been */
	WIRE_DENY,       /* refused by policy */
	WIRE_FAILED,     /* could not be built, or the policy is wrong: refused */
	WIRE_ALLOWED,    /* could not be built, and on_error = allow: not boxed */
	WIRE_UNKNOWN,    /* no such user: refused */
	WIRE_ENTER,      /* come in: init's pidfd comes with it, and maybe a filter */
};

#ifndef WIRE_LIMITS
#define WIRE_LIMITS 16
#endif
#define WIRE_GROUPS 32
#define WIRE_ENV 2048
#define WIRE_UMASK_KEPT UINT32_MAX
#define WIRE_CPU_WORDS 16

struct wire_limit {
	uint64_t soft, hard;
};

struct wire_verdict {
	struct wire_head head;
	uint32_t answer; /* enum wire_answer */
	uint32_t uid, gid;
	uint32_t limits_set; /* bit by RLIMIT_* */
	uint32_t no_new_privs;
	uint32_t filtered; /* a filter of system calls comes as a second descriptor */
	uint32_t own_userns; /* the box's user namespace comes after it: never to the module */
	uint64_t capabilities; /* bounding set kept */
	char apparmor[128], selinux[256]; /* "" for what is inherited */
	uint32_t umask;        /* or WIRE_UMASK_KEPT */
	uint32_t n_groups, groups[WIRE_GROUPS]; /* added to the user's */
	uint32_t env_size;
	char env[WIRE_ENV]; /* NAME=VALUE to set, NAME to take away, each with its end */
	int32_t score;  /* oom_score_adj */
	uint32_t pinned;
	uint64_t cpus[WIRE_CPU_WORDS]; /* where pinned: a bit for each processor */
	struct wire_limit limits[WIRE_LIMITS];
	char home[1024];
	char workdir[1024]; /* where the session starts; "" for where the application is */
	char words[640];  /* of the log line: box=… id=… rule=… */
	char mode[12];    /* enforce, monitor, off */
	char why[256];    /* one clause: why not boxed or refused */
	struct fail fail; /* with WIRE_FAILED, WIRE_ALLOWED, WIRE_UNKNOWN */
};

#define WIRE_STATE_SESSIONS 16

struct wire_session {
	uint32_t pid, age_s;
	char service[32], tty[32], rhost[64];
};

/* One living box. `more` holds lines `key value` of what the box has besides. */
struct wire_state {
	struct wire_head head;
	uint32_t uid, init_pid, n_sessions; /* all of them; `sessions` has the first */
	/* from here on of this version */
	uint64_t age_s;
	char id[16], user[64], box[33], rule[340], hash[33];
	char more[1024];
	struct wire_session sessions[WIRE_STATE_SESSIONS];
};

struct wire_join {
	struct wire_head head;
	char hash[33]; /* of the plan: another plan, another box */
	char service[64], tty[64], rhost[256];
	struct wire_verdict verdict;
};

#endif
