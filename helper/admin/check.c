/* `loginbox check`: reads the whole policy, as a login would, and says what is wrong. */
#include "helper/admin/admin.h"
#include "helper/policy/policy.h"

#include <stdio.h>

static int check_failed(const struct fail *f)
{
	char words[700];

	/* A finding is the answer; a check that could not be made is not one. */
	fprintf(f->kind == FAIL_POLICY ? stdout : stderr, "%s%s\n",
		f->kind == FAIL_POLICY ? "" : "loginbox: ", fail_word(f, words, sizeof(words)));
	return EXIT_ERRORS;
}

static void print_summary(const struct policy *policy, size_t warnings)
{
	printf("%zu %s, %zu %s: ", policy->n_boxes, policy->n_boxes == 1 ? "box" : "boxes",
		policy->n_rules, policy->n_rules == 1 ? "rule" : "rules");
	if (warnings)
		printf("%zu %s\n", warnings, warnings == 1 ? "warning" : "warnings");
	else if (policy->n_rules == 0)
		printf("well; without a rule nobody is boxed\n");
	else
		printf("well\n");
}

int admin_check(const struct admin_verb *verb, int argc, char **argv)
{
	const char *conf_dir = NULL;
	const struct admin_option options[] = { { "--config", &conf_dir }, { NULL, NULL } };
	struct fail f = { 0 };
	struct policy *policy = NULL;
	struct report report = { 0 };

	int code = admin_read(verb, argc, argv, options, NULL, 0);
	if (code != EXIT_DONE)
		return code;
	if (conf_dir && !admin_is_root("--config"))
		return EXIT_REFUSED;
	if (policy_load(&policy, conf_dir, &f) < 0)
		return check_failed(&f);
	if (policy_warn(policy, &report, &f) < 0) {
		code = check_failed(&f);
	} else {
		for (size_t i = 0; i < report.n; i++)
			printf("%s\n", report.lines[i]);
		print_summary(policy, report.n);
		code = report.n ? EXIT_WARNINGS : EXIT_DONE;
	}
	report_free(&report);
	policy_free(policy);
	return code;
}
