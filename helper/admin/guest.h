/*
 * guest.h - the administrator runs a program in somebody's box, as that user: what try and
 * enter have in common. The administrator's terminal is relayed and never seen inside.
 *
 * Uses: helper/keeper/visit, helper/policy.
 */
#ifndef HELPER_ADMIN_GUEST_H
#define HELPER_ADMIN_GUEST_H

#include "helper/admin/admin.h"
#include "helper/policy/plan.h"

/* `WORD [--config DIR] [-- CMD...]`, read. */
struct guest_words {
	const char *which, *conf_dir;
	char **command; /* NULL: the user's login shell */
};

/* Reads the words; EXIT_DONE, or what the command ends with, all said. */
int guest_read(struct guest_words *out, const struct admin_verb *verb, int argc, char **argv);

/*
 * Runs the command as the plan's user in the box `id` (NULL: as the plan shares, or a new
 * one). Returns the command's exit status, or says why not and returns the code for that.
 */
int guest_run(const struct plan *plan, const char *service, const char *id, char **command);

#endif
