/*
 * loginbox kill: ends the boxes of a user, or one by its id, and waits until they are gone.
 */
#include "helper/admin/admin.h"
#include "helper/admin/boxes.h"
#include "helper/keeper/peer.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"

#define GONE_MS 30000

int admin_kill(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct fail f = FAIL_BY("");
	struct boxes boxes;
	const char *which = NULL;
	int code = admin_read(verb, argc, argv, none, &which, 1);

	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, which, &f) < 0)
		return admin_fail(&f);
	for (size_t i = 0; i < boxes.n && !fail_is_set(&f); i++) {
		OWN_FD sock = boxes_connect(&boxes.at[i], &f);
		if (sock >= 0)
			peer_kill(sock, fdio_now_ms() + GONE_MS, &f);
	}
	boxes_free(&boxes);
	return fail_is_set(&f) ? admin_fail(&f) : EXIT_DONE;
}
