/*
 * box_systemd.h - control groups of a box on a host whose cgroup v2 tree is systemd's.
 *
 *	user.slice/user-UID.slice                   the user's limits (limit_scope = user)
 *	    session-N.scope                         logind's: the application and what it starts
 *	    loginbox-UID-ID.scope                   the box: init; with limit_scope = session, and
 *	                                            for whom logind has put elsewhere, sessions
 *
 * The scope is transient and ends with its last process, whatever became of its keeper. The
 * slice's properties are set at run time only; what says so below /run goes with the
 * user's last box, and the values with the slice.
 *
 * A program of its own speaks to systemd, so that no library of the bus is loaded here. It is
 * started in the host's namespaces, from a path of root's, and has a deadline.
 *
 * Uses: helper/systemd/words, lib/linux/cgroup; org.freedesktop.systemd1(5), systemd.scope(5).
 */
#ifndef HELPER_BUILD_BOX_SYSTEMD_H
#define HELPER_BUILD_BOX_SYSTEMD_H

#include "helper/build/box_cgroup.h"

/* Whether the tree is systemd's, and v2 alone. */
bool box_systemd_owns_groups(void);

/* The same, and the program that asks is installed. */
bool box_systemd_is_here(void);

/* Whether systemd answers. */
int box_systemd_ping(int64_t deadline_ms, struct fail *f);

/*
 * After the user's last box: where PAM refused the user's own systemd, as it does for who is
 * boxed, the failed user@UID.service is forgotten. Until then it would keep user-UID.slice in
 * systemd's memory, with the values of a box that is gone and a policy that may be another by
 * then. Whether it succeeds changes nothing for anybody who waits.
 */
void box_systemd_user_done(uid_t uid, int64_t deadline_ms);

/*
 * Makes the scope around init and sets the slice's properties; fills `cg->path` with both
 * groups and reads every value back. Never raises what the host gives the user when only
 * base's limits are wanted; never lowers it below what other boxes of the user have
 * (`shared`).
 */
int box_systemd_start(struct box_cgroup *cg, const struct plan *plan, const char *id, pid_t init,
	bool shared, int64_t deadline_ms, struct fail *f);

/*
 * Stops the scopes of boxes that are not known any more and in which nothing runs; `dry` only
 * looks. Such a one is left where init ended before it was in it and the keeper was killed
 * then: systemd waits for a last process to leave. Returns how many there were.
 */
unsigned box_systemd_sweep(const struct place *place, bool dry);

/* The group of the user's session that a text of /proc/PID/cgroup names, without the first
 * slash, in `out`; false when it is not below the user's slice. */
bool box_systemd_session(const struct box_cgroup *cg, const char *text, char *out, size_t size);

#endif
