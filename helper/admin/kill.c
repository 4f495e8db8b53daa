/*
 * loginbox kill: ends the boxes of a user, or one by its id, and waits until they are gone.
 */
#include "helper/admin/admin.h"
#include "helper/admin/boxes.h"
#include "helper/admin/screen.h"
#include "helper/keeper/peer.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"

#define GONE_MS 30000

static void print_json(const struct boxes *boxes)
{
	printf("[");
	for (size_t i = 0; i < boxes->n; i++) {
		printf("%s\n {\"id\": \"%s\", \"user\": ", i ? "," : "", boxes->at[i].id);
		boxes_json_text(stdout, boxes->at[i].user);
		printf(", \"uid\": %u}", boxes->at[i].uid);
	}
	printf("%s]\n", boxes->n ? "\n" : "");
}

int admin_kill(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct fail f = FAIL_BY("");
	struct boxes boxes;
	const char *which = NULL;
	bool json = boxes_take_flag(&argc, argv, "--json");
	int code = admin_read(verb, argc, argv, none, &which, 1);

	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, which, &f) < 0)
		return admin_fail(&f);
	for (size_t i = 0; i < boxes.n && !fail_is_set(&f); i++) {
		screen_busy("ending box %s of %s ...", boxes.at[i].id, boxes.at[i].user);
		OWN_FD sock = boxes_connect(&boxes.at[i], &f);
		if (sock >= 0)
			peer_kill(sock, fdio_now_ms() + GONE_MS, &f);
	}
	screen_ready();
	if (json && !fail_is_set(&f))
		print_json(&boxes);
	boxes_free(&boxes);
	return fail_is_set(&f) ? admin_fail(&f) : admin_finish(EXIT_DONE);
}
