/*
 * keeper.h - the process that knows one box: it builds it, lets sessions in and out, ends
 * it, and cleans up. Root, in the host's namespaces.
 *
 *	state     event                               does                      next
 *	BUILDING  init says BUILT                     RUN, verdict, lock freed  LIVING
 *	          FAILED, silence, a lost socket      abandons, verdict         (exit)
 *	LIVING    JOIN with the plan's hash           session, verdict          LIVING
 *	          JOIN with another, of another       refuses: another box      LIVING
 *	            version, or into a full box
 *	          CLOSE from the session's process    hands the way back        LIVING
 *	          the session's process has ended     forgets the session       LIVING
 *	          end of the session's socket         only stops listening      LIVING
 *	          STATUS                              tells                     LIVING
 *	          no session, leftover = kill         if the lock is free:      ENDING
 *	                                                hides, kills
 *	          no session, leftover = keep         asks init; EMPTY from it  LIVING
 *	                                                counts as "no session"
 *	          no session, leftover's time is over hides, kills              ENDING
 *	          session_max: soon, over, long over  warns, SIGTERM, SIGKILL   LIVING
 *	          its rendezvous has gone             makes it again            LIVING
 *	          KILL from root or the box's user    hides, kills              ENDING
 *	          end of init's socket                hides                     ENDING
 *	ENDING    JOIN                                refuses: another box      ENDING
 *	          CLOSE, STATUS, KILL                 as above                  ENDING
 *	          the session's process has ended     forgets the session       ENDING
 *	          a moment after its socket's end     tells who asked for KILL  ENDING
 *	          init reaped                         the same, and gives the   GONE
 *	                                                address back
 *	GONE      CLOSE                               hands the way back        GONE
 *	          no session left                     forgets the box, looks    (exit)
 *	                                                after others' now and then
 *
 * A box is hidden by taking its rendezvous away; the next login of the user is a new
 * generation then, and never waits for the death of an old one.
 *
 * The pidfd of a session's process is the truth, CLOSE the fast path. A process closes its
 * session before it is reaped, so nobody waits for anybody: init dies in its own time.
 *
 * Uses: helper/build, helper/state, helper/policy/plan, lib.
 */
#ifndef HELPER_KEEPER_KEEPER_H
#define HELPER_KEEPER_KEEPER_H

#include "helper/policy/plan.h"
#include "helper/keeper/session.h"
#include "helper/state/place.h"

/*
 * Forks the keeper of a new box, whose directory the caller has made. The keeper takes the
 * login and its descriptors, the lock and the place over, answers the login's verdict, and
 * lives until the box is gone. Returns as soon as it is forked. In the parent the
 * descriptors stay open and the caller's, and on failure the directory too.
 */
int keeper_start(const struct plan *plan, const struct place *place,
	const struct place_box *box, int lock, const struct session_login *login,
	int64_t deadline_ms, struct fail *f);

#endif
