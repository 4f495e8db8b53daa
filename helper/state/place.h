/*
 * place.h - the state directory of the host: where boxes are known and locks are held.
 *
 *	/run/loginbox/            root 0700
 *	    off                   root's break-glass file
 *	    lock/UID              one lock a user, held while a box is opened or ended
 *	    boxes/UID/ID/         one box: `note`, and `sock`, the keeper's rendezvous
 *	    all/ID/               empty: one for each box, whose number is what max_boxes counts
 *	    policy                the policy's text as it was found right (policy_kept.h)
 *	    swept                 touched when the boxes of all users were last looked through
 *
 * An ID is eight hexadecimal digits of chance. Nothing in a path comes from a user's name.
 * Everything is found through one descriptor of the directory, whose owner, mode and type
 * were checked; what a cleaner removed is made again.
 *
 * Uses: lib/base; flock(2).
 */
#ifndef HELPER_STATE_PLACE_H
#define HELPER_STATE_PLACE_H

#include "lib/base/fail.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/un.h>

#define PLACE_ID 8
#define PLACE_ALL ((uid_t)-1)

struct place {
	int dir; /* LOGINBOX_RUN, or -1 */
};

/* One box as the state directory knows it. */
struct place_box {
	uid_t uid;
	char id[PLACE_ID + 1];
};

/* Opens the state directory, making what is missing; refuses one that is not root's own. */
int place_open(struct place *out, struct fail *f);

void place_close(struct place *place);

/*
 * How many may wait for one user's lock. A helper that waits is root's: no limit of a user who
 * starts them counts it.
 */
#define PLACE_WAITING_MAX 128

/*
 * Takes the user's lock, waiting until `deadline_ms` (fdio.h's clock; 0: does not wait at
 * all). Returns the descriptor that holds it (forked processes hold it too), -1 with
 * EWOULDBLOCK or ETIMEDOUT in f->err when somebody else has it; FAIL_REFUSED when too many wait.
 */
int place_lock(const struct place *place, uid_t uid, int64_t deadline_ms, struct fail *f);

/* Lets go of the lock and closes the descriptor: no forked process holds it any more either. */
void place_unlock(int *lock);

/* Makes the directory of a new box with an ID of its own. The caller holds the lock. */
int place_box_make(const struct place *place, uid_t uid, struct place_box *out, struct fail *f);

/* Makes again what is missing of a living box's directory. The caller holds the lock. */
int place_box_restore(const struct place *place, const struct place_box *box, struct fail *f);

/* Opens the box's directory (O_PATH); -1 with errno. */
int place_box_open(const struct place *place, const struct place_box *box);

/* Removes the box's rendezvous, so that no login joins it any more. */
void place_box_hide(const struct place *place, const struct place_box *box);

/* Whether the box cannot be joined any more: it ends. */
bool place_box_is_hidden(const struct place *place, const struct place_box *box);

/* Removes all that the state directory has of the box. */
void place_box_forget(const struct place *place, const struct place_box *box);

/* Calls `each` for every box of the user (or of all users, with PLACE_ALL) until it is not 0;
 * answers what it answered last. */
int place_each(const struct place *place, uid_t uid,
	int (*each)(const struct place *place, const struct place_box *box, void *arg), void *arg);

/*
 * How many boxes there are: of the user, or of all with uid PLACE_ALL. A box counts from
 * place_box_make() to place_box_forget(), in each state; both are exact, and cheap.
 */
unsigned place_count(const struct place *place, uid_t uid);

/*
 * What counts as a box in `all` and has no directory below `boxes`, as after a cleaner's
 * visit: removed, unless `dry`. Returns the number.
 */
unsigned place_sweep_counts(const struct place *place, bool dry);

/* The address of the box's rendezvous, in the host's view. */
void place_address(const struct place_box *box, struct sockaddr_un *out);

/*
 * Whether somebody listens at the rendezvous, or that cannot be found out. For where the box's
 * note does not name a living process, as it never does in another pid or time namespace:
 * connecting wakes the keeper.
 */
bool place_box_answers(const struct place_box *box);

#endif
