/*
 * ask.h - what others ask a box's keeper: helpers and root at its rendezvous, the box's user
 * at the control socket inside the box.
 *
 *	JOIN    a helper   the plan's hash, a login with its descriptors  JOINED, or REFUSED
 *	STATUS  anybody    nothing                                        STATE
 *	KILL    anybody    nothing                              the end of the connection
 *
 * STATUS and KILL are understood from every version (wire.h); a JOIN of another version is
 * refused: that login gets a box of its own.
 *
 * Uses: helper/keeper/life, lib/wire.
 */
#ifndef HELPER_KEEPER_ASK_H
#define HELPER_KEEPER_ASK_H

#include "helper/keeper/life.h"

#define ASK_GUEST_MS 100 /* between two askers from inside */
#define ASK_DEAF_MS 100  /* until who asks is looked at again, when there is no descriptor for it */

/* Takes one peer of the rendezvous, which is readable, and answers it. Waits for what a
 * helper has to say half a second at most. At the limit of descriptors k->spare makes room for
 * the one that asks; with that gone too, the rendezvous is left alone for ASK_DEAF_MS. */
void ask_accept(struct keeper *k);

/*
 * A user inside may ask for the state of the own box and for its end, one at a time and
 * never faster than ASK_GUEST_MS; nothing that it does or leaves undone is waited for.
 */
void ask_accept_guest(struct keeper *k);

/* The guest has said something. */
void ask_hear_guest(struct keeper *k);

#endif
