/*
 * plan_parts.h - what the files that plan the tree share; nobody else includes it.
 *
 * Uses: helper/policy/plan, lib/linux.
 */
#ifndef HELPER_POLICY_PLAN_PARTS_H
#define HELPER_POLICY_PLAN_PARTS_H

#include "helper/policy/plan.h"
#include "helper/policy/word.h"

#include <linux/mount.h>
#include <string.h>

#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define RDONLY MOUNT_ATTR_RDONLY

/* What the box's root directory is. */
enum root_kind {
	ROOT_HOST,   /* the host's, in place */
	ROOT_MIRROR, /* a fresh one with everything in it that the host's has */
	ROOT_TREE,   /* a prepared tree */
	ROOT_EMPTY,  /* a fresh one with nothing in it */
};

/* One's own home: where it really is, and where passwd says it is when that is a link. */
struct home {
	char real[1024], seen[1024];
	bool found;        /* passwd's home is there */
	char source[1024]; /* what is seen there; "" for a tmpfs, or where there is none */
	bool tmpfs;
	bool other; /* `home` names something else than the real one */
};

/* The target of a bind or tmpfs of the site's own. */
struct bound {
	char path[1024];
	bool users; /* what it shows is the user's own, where names are the user's */
};

/* The tree that is being planned. */
struct tree {
	struct plan *plan;
	const struct box *box;
	enum root_kind kind;
	char root[1024]; /* ROOT_TREE: where the tree is on the host; else "" */
	uint64_t attr;   /* of everything that comes from the host */
	struct home home;
	struct bound *bound;
	size_t n_bound;
	bool late; /* these are planned already */
	bool home_shown; /* a step for it is planned, or it is in the tree as it is */
};

#define ADD(...) plan_add_step(t->plan, (struct step){ __VA_ARGS__ }, f)

static inline const struct setting *tree_get(const struct tree *t, enum key_id key)
{
	return t->box->all.by_key[key];
}

static inline bool tree_is(const struct tree *t, enum key_id key, const char *word)
{
	return strcmp(tree_get(t, key)->text, word) == 0;
}

/* Whether the box has its own tree there anyway. */
bool tree_is_replaced(const struct tree *t, const char *path);

/* Whether passwd's home lies at or below `top`, by either of its names. */
bool tree_home_is_in(const struct tree *t, const char *top);

/* Whether the path lies strictly below one's own home, where names are the user's. */
bool tree_is_in_home(const struct tree *t, const char *path);

/* The deepest bind or tmpfs of the site's own at or above the path, or NULL. */
struct bound *tree_bound(const struct tree *t, const char *path);

/* Bytes of a size that may be percent of memory; never 0. */
uint64_t plan_bytes_of(uint64_t number, bool percent);

/* plan_homes.c */
int plan_homes_find(struct tree *t, struct fail *f);
int plan_homes_cover(struct tree *t, struct fail *f);
int plan_homes_show(struct tree *t, struct fail *f);

/* plan_lists.c: hide, read_only, writable; of the whole tree, of parts, of what was bound */
int plan_lists_early(struct tree *t, struct fail *f);
int plan_lists(struct tree *t, struct fail *f);
int plan_lists_late(struct tree *t, struct fail *f);
/* Whether the lists leave the path writable. */
int plan_lists_allow(struct tree *t, const char *path, bool *writable, struct fail *f);
/* Whether read_only names /. */
bool plan_lists_has_all(const struct tree *t);

/* plan_binds.c: bind.LABEL, tmpfs.LABEL */
int plan_binds(struct tree *t, struct fail *f);
/* Notes the targets, and whether one of them is a new name in the host's root. */
int plan_binds_find(struct tree *t, bool *new, struct fail *f);

/* plan_writes.c: the root as an overlay, and one for each mount below */
int plan_writes(struct tree *t, struct fail *f);

/* plan_follow.c: which copies are slaves of the host's automounts */
int plan_follow(struct tree *t, struct fail *f);

/* plan_root.c: `root`, before anything else of the tree */
int plan_root_find(struct tree *t, struct fail *f);
int plan_root(struct tree *t, struct fail *f);

/* plan_dev.c, plan_proc.c, plan_hosts.c */
int plan_hosts(struct tree *t, struct fail *f);
int plan_dev(struct tree *t, struct fail *f);
int plan_proc(struct tree *t, struct fail *f);

/* The gid of a group of this host, or `otherwise` where there is none of that name. */
int plan_group_or(const char *name, gid_t otherwise, gid_t *gid, struct fail *f);

#endif
