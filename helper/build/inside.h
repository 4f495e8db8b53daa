/*
 * inside.h - what the files that carry out the steps share; nobody else includes it.
 *
 * Uses: helper/policy/plan, lib/linux/mount.
 */
#ifndef HELPER_BUILD_INSIDE_H
#define HELPER_BUILD_INSIDE_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"
#include "lib/linux/mount.h"

#define ATTR_FRESH (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define ATTR_DEAD (ATTR_FRESH | MOUNT_ATTR_RDONLY)

/* Beside the marker: what hides a directory and what hides a file. */
#define EMPTY_DIR "empty"
#define EMPTY_FILE "nothing"
/* And what else is laid over files: TEXT_FILE and the number of the step. */
#define TEXT_FILE "text-"
/* Where a user asks the keeper about the own box. */
#define CTL_FILE "ctl"
#define CTL_BACKLOG 8

/* A mount as it was made, for the comparison at the end. */
struct made {
	const char *target;
	uint64_t id, attr;
};

/* Where a mount goes: `name` in `dir`, or `dir` itself; `path` is what the plan calls it. */
struct place_at {
	int dir;
	const char *name, *path;
};

#define AT_ITSELF(dir, path) ((struct place_at){ (dir), "", (path) })

struct inside {
	const struct plan *plan;
	const char *id;
	int last_filter, ctl, log_socket, sysctls; /* build_inside.h */
	/* The directory of the last step, which most of the next ones are in. */
	int dir;
	int root; /* the box's root, or -1: most of the others are below it */
	char dir_path[256];
	bool dir_own; /* found to be in a file system of the box's own */
	/* Beside the marker, once something is hidden: a file, a directory; -1 before. */
	int hider[2];
	/* By number of the step: what it shows of the host, copied before anything covers it. */
	int *copies;
	/* The box's own file systems, in which a missing mount point may be made. */
	dev_t *fresh;
	size_t n_fresh;
	uint64_t all_attr; /* what every mount of the host was given by STEP_ATTR */
	struct made *made;
	size_t n_made, room;
};

typedef int step_do(struct inside *in, const struct step *s, struct fail *f);

/* inside.c */
void inside_remember_dir(struct inside *in, int fd, const char *path);
void inside_forget_dirs(struct inside *in);
/* The directory that `path` is in, as a descriptor of `in`, and the last name. */
int inside_parent(struct inside *in, const char *path, const char **name, struct fail *f);
/* The same where something is to be made: refused outside of the box's own file systems. */
int inside_own_parent(struct inside *in, const char *path, const char **name, struct fail *f);
/* Opens a path of the box without following links; -1 with errno, and `f` set unless absent. */
int inside_open(struct inside *in, const char *path, struct fail *f);
/* Attaches on the step's target, which is made where it is missing in a file system of the
 * box's own; notes the mount. */
int inside_attach(struct inside *in, int mount, const struct step *s, uint64_t attr,
	struct fail *f);
int inside_attach_at(struct inside *in, int mount, const struct place_at *at, uint64_t attr,
	struct fail *f);
/* Notes the file system behind `fd` as the box's own. */
int inside_note_fresh(struct inside *in, int fd, struct fail *f);
/* A fresh tmpfs, detached, noted as the box's own. */
int inside_tmpfs(struct inside *in, const struct step *s, uint64_t attr, struct fail *f);

/* steps_host.c: what is seen of the host */
int steps_gather_first(struct inside *in, struct fail *f);
int steps_gather(struct inside *in, struct fail *f);
step_do step_attr, step_drop, step_copy, step_root, step_seal, step_hide, step_freeze;

/* steps_fresh.c: what is the box's own */
step_do step_tmpfs, step_scratch, step_cover, step_fresh, step_marker, step_text;
step_do step_also, step_dir, step_file, step_link, step_node, step_log_socket;

/* overlay.c: where what is written in the box goes */
int overlay_gather(struct inside *in, struct fail *f);
step_do step_overlay, step_upper;

/* readback.c: compares what the kernel shows with what was made */
int readback(const struct inside *in, struct fail *f);

#endif
