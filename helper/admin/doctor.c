/* loginbox doctor: what is wrong or missing on this host, and what to do about it. */
#include "helper/admin/doctor.h"

#include "helper/admin/admin.h"
#include "helper/admin/probes.h"
#include "helper/admin/screen.h"

#include <string.h>

static bool uses_rhost(const struct policy *policy)
{
	for (size_t i = 0; policy && i < policy->n_rules; i++)
		if (policy->rules[i]->says.by_key[KEY_RULE_RHOST])
			return true;
	return false;
}

static bool boxes_somebody(const struct policy *policy)
{
	for (size_t i = 0; policy && i < policy->n_rules; i++)
		if (policy->rules[i]->gives != RULE_NONE)
			return true;
	return false;
}

static void look_at_policy(struct findings *out, struct policy **policy)
{
	struct fail f = { 0 };
	struct report report = { 0 };
	char words[700];

	if (policy_load(policy, NULL, &f) < 0) {
		findings_add(out, SEVERITY_ERROR, "policy",
			"nobody but root can log in through a service with our lines: mend it, or run "
			"'loginbox off'",
			"%s", fail_word(&f, words, sizeof(words)));
		return;
	}
	if (policy_warn(*policy, &report, &f) < 0)
		findings_add(out, SEVERITY_ERROR, "policy", "look at the name services of this host",
			"%s", fail_word(&f, words, sizeof(words)));
	for (size_t i = 0; i < report.n; i++)
		findings_add(out, SEVERITY_WARNING, "policy",
			"mend it, or leave it on purpose; 'loginbox check' says the same", "%s",
			report.lines[i]);
	if (!(*policy)->n_rules)
		findings_add(out, SEVERITY_NOTE, "policy", "write a [rule] into " LOGINBOX_CONF_DIR
			"/loginbox.conf", "there is no rule: nobody is boxed");
	report_free(&report);
}

int admin_doctor(const struct admin_verb *verb, int argc, char **argv)
{
	struct findings found = { 0 };
	struct policy *policy = NULL;
	bool json = false;
	const struct admin_option options[] = { { "--json", NULL, &json }, { NULL, NULL } };
	int code = admin_read(verb, argc, argv, options, NULL, 0);

	if (code != EXIT_DONE)
		return code;
	if (!admin_is_root("doctor"))
		return EXIT_REFUSED;
	screen_busy("looking ...");
	look_at_policy(&found, &policy);
	doctor_host(&found);
	if (policy)
		probes_run(policy, &found);
	doctor_pam(&found, boxes_somebody(policy));
	doctor_sshd(&found, uses_rhost(policy));
	doctor_names(&found);
	doctor_network(&found, policy);
	doctor_state(&found);
	screen_ready();
	code = findings_print(&found, json);
	findings_free(&found);
	policy_free(policy);
	return admin_finish(code);
}
