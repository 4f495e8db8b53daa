/* `loginbox off` and `loginbox on`: the break-glass file. */
#include "helper/admin/admin.h"
#include "helper/state/place.h"
#include "lib/base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define OFF_FILE "off"
#define OFF_PATH LOGINBOX_RUN "/" OFF_FILE

static const struct admin_option no_options[] = { { NULL, NULL } };

static int start(const struct admin_verb *verb, int argc, char **argv, struct place *place)
{
	struct fail f = { 0 };

	int code = admin_read(verb, argc, argv, no_options, NULL, 0);
	if (code != EXIT_DONE)
		return code;
	if (!admin_is_root(verb->name))
		return EXIT_REFUSED;
	return place_open(place, &f) < 0 ? admin_fail(&f) : EXIT_DONE;
}

int admin_off(const struct admin_verb *verb, int argc, char **argv)
{
	struct place place;
	struct fail f = { 0 };

	int code = start(verb, argc, argv, &place);
	if (code != EXIT_DONE)
		return code;
	OWN_FD file = openat(place.dir, OFF_FILE,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (file < 0) {
		fail_sys(&f, "make file", OFF_PATH);
		code = admin_fail(&f);
	} else {
		printf("off: new logins are not boxed while %s exists\n", OFF_PATH);
		printf("off: boxes that run go on\n");
		printf("off: 'loginbox on' or the next boot ends this\n");
	}
	place_close(&place);
	return code;
}

int admin_on(const struct admin_verb *verb, int argc, char **argv)
{
	struct place place;
	struct fail f = { 0 };

	int code = start(verb, argc, argv, &place);
	if (code != EXIT_DONE)
		return code;
	if (unlinkat(place.dir, OFF_FILE, 0) == 0) {
		printf("on: new logins follow the policy again\n");
	} else if (errno == ENOENT) {
		printf("on: it was not off\n");
	} else {
		fail_sys(&f, "remove file", OFF_PATH);
		code = admin_fail(&f);
	}
	place_close(&place);
	return code;
}
