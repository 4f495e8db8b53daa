/*
 * `loginbox enter`: a program in a box that lives, with everything that a login gets applied
 * again. The plan is made anew from the policy for the box's user and name; when it is not
 * the one that the box was made from, the box is not entered.
 */
#include "helper/admin/boxes.h"
#include "helper/admin/guest.h"
#include "helper/policy/policy.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "loginbox-enter"

static int enter_box(const struct wire_state *box, const struct guest_words *words)
{
	static struct request request;
	struct policy *policy = NULL;
	struct plan plan = { 0 };
	struct fail f = FAIL_BY("");

	request = (struct request){
		.door = DOOR_ADMIN, .service = SERVICE, .rhost = "", .ruser = "root", .tty = ""
	};
	if (account_by_uid(&request.account, box->uid, &f) < 0 ||
		policy_load(&policy, words->conf_dir, &f) < 0 ||
		plan_make_box(&plan, policy, &request, box->box, &f) < 0)
		return admin_fail(&f);
	if (strcmp(plan.hash, box->hash) != 0) {
		fail_say(&f, FAIL_REFUSED, "enter box", box->id,
			"the policy has changed since it was made");
		return admin_fail(&f);
	}
	return guest_run(&plan, SERVICE, box->id, words->command);
}

int admin_enter(const struct admin_verb *verb, int argc, char **argv)
{
	struct guest_words words;
	struct boxes boxes;
	struct fail f = FAIL_BY("");

	int code = guest_read(&words, verb, argc, argv);
	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, words.which, &f) < 0)
		return admin_fail(&f);
	if (boxes.n > 1) {
		fprintf(stderr, "loginbox: %s has %zu boxes: say which by its id (loginbox list)\n",
			words.which, boxes.n);
		return EXIT_CALLED_WRONGLY;
	}
	struct wire_state box = boxes.at[0];
	boxes_free(&boxes);
	return enter_box(&box, &words);
}
