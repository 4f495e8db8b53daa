/* `loginbox try`: a real box and a shell in it, without PAM. */
#include "helper/admin/guest.h"

#include "helper/policy/policy.h"

#include <stdio.h>

#define SERVICE "loginbox-try"

static int try_plan(const struct plan *plan, char **command)
{
	static const char *const unboxed[] = { "is not boxed", "is refused",
		"is not boxed (monitor)" };

	if (plan->verdict == VERDICT_BOX)
		return guest_run(plan, SERVICE, NULL, command);
	fprintf(stderr, "loginbox: %s %s: %s\n", plan->account->name,
		unboxed[plan->verdict == VERDICT_IGNORE ? 0
			: plan->verdict == VERDICT_DENY ? 1
							: 2],
		plan->why[0] ? plan->why : "mode = monitor");
	return EXIT_REFUSED;
}

int admin_try(const struct admin_verb *verb, int argc, char **argv)
{
	struct guest_words words;
	struct policy *policy = NULL;
	struct request request = {
		.door = DOOR_ADMIN, .service = SERVICE, .rhost = "", .ruser = "root", .tty = ""
	};
	struct plan plan = { 0 };
	struct fail f = FAIL_BY("");

	int code = guest_read(&words, verb, argc, argv);
	if (code != EXIT_DONE)
		return code;
	if (account_by_name(&request.account, words.which, &f) < 0 ||
		policy_load(&policy, words.conf_dir, &f) < 0 ||
		plan_make(&plan, policy, &request, &f) < 0)
		return admin_fail(&f);
	return try_plan(&plan, words.command);
}
