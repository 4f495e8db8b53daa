/*
 * `loginbox check`: reads the whole policy, as a login would, and says what is wrong; with
 * --here, whether this host can do what it wants; with --run, whether it keeps its promises.
 */
#include "helper/admin/admin.h"
#include "helper/admin/check_logins.h"
#include "helper/admin/expect.h"
#include "helper/admin/probes.h"
#include "helper/admin/screen.h"
#include "helper/keeper/title.h"
#include "lib/base/own.h"

#include <stdio.h>
#include <string.h>

struct check {
	const char *conf_dir;
	bool here, run, json;
	unsigned n_run; /* expectations */
	struct policy *policy;
	struct findings found;
};

/* "FILE:LINE: what" becomes a finding there. */
static void add_line(struct check *c, enum severity severity, const char *line)
{
	const char *colon = strstr(line, ": ");
	OWN_STR at = colon ? strndup(line, (size_t)(colon - line)) : strdup("policy");

	if (!at)
		c->found.lost = true;
	else
		findings_add(&c->found, severity, at, "", "%s", colon ? colon + 2 : line);
}

static void add_fail(struct check *c, const struct fail *f)
{
	char words[700];

	add_line(c, SEVERITY_ERROR, fail_word(f, words, sizeof(words)));
}

/* Returns EXIT_DONE, or what to end with: a check that could not be made is no finding. */
static int look(struct check *c)
{
	struct report report = { 0 };
	struct fail f = { 0 };
	char words[700];
	int code = EXIT_DONE;

	if (policy_load(&c->policy, c->conf_dir, &f) == 0 &&
		policy_warn(c->policy, &report, &f) == 0) {
		for (size_t i = 0; i < report.n; i++)
			add_line(c, SEVERITY_WARNING, report.lines[i]);
		check_logins(c->policy, &c->found);
		if (c->here) {
			screen_busy("asking this kernel ...");
			probes_run(c->policy, &c->found);
			screen_ready();
		}
		if (c->run && expect_run(c->policy, c->conf_dir, &c->found, &c->n_run, &f) < 0)
			add_fail(c, &f);
	} else if (f.kind == FAIL_POLICY) {
		add_fail(c, &f);
	} else {
		fprintf(stderr, "loginbox: %s\n", fail_word(&f, words, sizeof(words)));
		code = EXIT_ERRORS;
	}
	report_free(&report);
	return code;
}

static void print_text(const struct check *c, int worst)
{
	size_t count[3] = { 0 };
	const struct policy *policy = c->policy;

	for (size_t i = 0; i < c->found.n; i++) {
		const struct finding *f = &c->found.at[i];
		count[f->severity]++;
		printf("%s%s:%s %s\n", screen_colour(f->severity == SEVERITY_ERROR ? SCREEN_RED
									  : SCREEN_YELLOW),
			f->subject, screen_colour(SCREEN_PLAIN), f->what);
		if (*f->todo)
			printf("    %s\n", f->todo);
	}
	if (!policy)
		return;
	printf("%zu %s, %zu %s", policy->n_boxes, policy->n_boxes == 1 ? "box" : "boxes",
		policy->n_rules, policy->n_rules == 1 ? "rule" : "rules");
	if (c->run)
		printf(", %u %s run", c->n_run, c->n_run == 1 ? "expectation" : "expectations");
	printf(": ");
	if (count[SEVERITY_ERROR])
		printf("%zu %s%s", count[SEVERITY_ERROR],
			count[SEVERITY_ERROR] == 1 ? "error" : "errors",
			count[SEVERITY_WARNING] ? ", " : "\n");
	if (count[SEVERITY_WARNING])
		printf("%zu %s\n", count[SEVERITY_WARNING],
			count[SEVERITY_WARNING] == 1 ? "warning" : "warnings");
	if (worst == EXIT_DONE)
		puts(policy->n_rules ? "well" : "well; without a rule nobody is boxed");
}

static void print_json(const struct check *c, int worst)
{
	static const char *const results[] = { "well", "warnings", "errors" };
	const struct policy *policy = c->policy;

	printf("{\"result\": \"%s\", \"boxes\": %zu, \"networks\": %zu, \"rules\": %zu,\n"
	       "\"expectations\": %u, \"findings\": ",
		results[worst], policy ? policy->n_boxes : 0, policy ? policy->n_networks : 0,
		policy ? policy->n_rules : 0, c->n_run);
	findings_print(&c->found, true);
	printf("}\n");
}

int admin_check(const struct admin_verb *verb, int argc, char **argv)
{
	struct check c = { 0 };
	const struct admin_option options[] = { { "--config", &c.conf_dir },
		{ "--here", NULL, &c.here }, { "--run", NULL, &c.run }, { "--json", NULL, &c.json },
		{ NULL, NULL } };

	int code = admin_read(verb, argc, argv, options, NULL, 0);
	if (code != EXIT_DONE)
		return code;
	if ((code = admin_config(verb, c.conf_dir)) != EXIT_DONE)
		return code;
	if ((c.here && !admin_is_root("--here")) || (c.run && !admin_is_root("--run")))
		return EXIT_REFUSED;
	title_take(argc, argv);
	code = look(&c);
	if (code == EXIT_DONE) {
		code = findings_worst(&c.found);
		c.json ? print_json(&c, code) : print_text(&c, code);
	}
	findings_free(&c.found);
	policy_free(c.policy);
	return admin_finish(code);
}
