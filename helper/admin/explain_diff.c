/*
 * `loginbox explain USER --diff OLD.conf`: what a login gets now, against what it would get
 * with another file in the place of loginbox.conf. The drop-ins are the same in both.
 */
#include "helper/admin/explain.h"

#include "helper/policy/config.h"
#include "lib/base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* One of the two: the other policy, or the one of now. */
struct side {
	struct policy *policy;
	struct plan plan;
	char *verdict, *rule, *steps;
};

static int load_other(struct policy **out, const char *conf_dir, const char *path, struct fail *f)
{
	struct config config = { 0 };
	OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int result = -1;

	if (fd < 0)
		return fail_sys(f, "read", path);
	if (config_load(&config, conf_dir ? conf_dir : LOGINBOX_CONF_DIR, LOGINBOX_VENDOR_DIR, f) < 0)
		return -1;
	/* The main file is the last one, where there is one. */
	if (config.n_files && config.files[config.n_files - 1].main) {
		struct config_file *last = &config.files[--config.n_files];
		ini_free(&last->ini);
		free(last->name);
	}
	if (config_add(&config, fd, path, true, f) == 0)
		result = policy_make(out, &config, f);
	config_free(&config);
	return result;
}

static char *steps_of(const struct plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to) {
		plan_print(plan, to);
		fclose(to);
	}
	return text;
}

static int fill(struct side *side, const struct request *request, struct fail *f)
{
	static const char *const words[] = { "not boxed", "refused", "monitored, would get",
		"boxed with" };
	const struct plan *plan = &side->plan;

	if (plan_make(&side->plan, side->policy, request, f) < 0)
		return -1;
	if (asprintf(&side->verdict, "%s %s%s", words[plan->verdict],
		    *plan->box && plan->verdict >= VERDICT_MONITOR ? plan->box : "",
		    plan->verdict < VERDICT_MONITOR ? plan->why : "") < 0)
		side->verdict = NULL;
	side->rule = strdup(*plan->rule ? plan->rule : "none");
	side->steps = steps_of(plan);
	if (!side->verdict || !side->rule || !side->steps)
		return fail_err(f, ENOMEM, "compare", "");
	return 0;
}

static void empty(struct side *side)
{
	free(side->verdict);
	free(side->rule);
	free(side->steps);
	if (side->verdict || side->rule)
		plan_free(&side->plan);
	policy_free(side->policy);
}

static unsigned print_words(const char *name, const char *old, const char *new)
{
	if (strcmp(old, new) == 0)
		return 0;
	printf("- %s %s\n+ %s %s\n", name, old, name, new);
	return 1;
}

/* ---- settings ------------------------------------------------------------------------- */

static const char *text_of(const struct setting *s)
{
	return s ? s->text : NULL;
}

static unsigned print_setting(const char *name, const char *label, const struct setting *old,
	const struct setting *new)
{
	const struct setting *both[] = { old, new };
	const char *was = text_of(old), *is = text_of(new);

	if ((!was && !is) || (was && is && strcmp(was, is) == 0))
		return 0;
	for (int i = 0; i < 2; i++)
		if (both[i])
			printf("%c %.*s%s = %s  %s\n", "-+"[i],
				label ? (int)strcspn(name, ".") + 1 : (int)strlen(name), name,
				label ? label : "", both[i]->text,
				both[i]->at ? both[i]->at : "(default)");
	return 1;
}

static const struct setting *labelled(const struct settings *in, const struct setting *like)
{
	for (size_t i = 0; i < in->n_labelled; i++)
		if (in->labelled[i]->key == like->key &&
			strcmp(in->labelled[i]->label, like->label) == 0)
			return in->labelled[i];
	return NULL;
}

static unsigned print_settings(enum section section, const struct settings *old,
	const struct settings *new)
{
	unsigned n = 0;

	for (size_t i = 0; i < KEY_COUNT; i++)
		if (key_table[i].section == section)
			n += print_setting(key_table[i].name, NULL, old->by_key[i], new->by_key[i]);
	for (size_t i = 0; i < old->n_labelled; i++) {
		const struct setting *s = old->labelled[i];
		n += print_setting(s->key->name, s->label, s, labelled(new, s));
	}
	for (size_t i = 0; i < new->n_labelled; i++) {
		const struct setting *s = new->labelled[i];
		if (!labelled(old, s))
			n += print_setting(s->key->name, s->label, NULL, s);
	}
	return n;
}

/* ---- steps: lines that only one side has -------------------------------------------------- */

static bool has_line(const char *text, const char *line, size_t len)
{
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (strcspn(at, "\n") == len && strncmp(at, line, len) == 0)
			return true;
	return false;
}

static unsigned print_lines(char sign, const char *text, const char *other)
{
	unsigned n = 0;

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		size_t len = strcspn(at, "\n");
		if (has_line(other, at, len))
			continue;
		printf("%c %.*s\n", sign, (int)len, at);
		n++;
	}
	return n;
}

/* ---- all of it -------------------------------------------------------------------------- */

static void compare(const struct side *old, const struct side *new)
{
	const struct box *was = policy_find_box(old->policy, old->plan.box);
	const struct box *is = policy_find_box(new->policy, new->plan.box);
	unsigned n = print_words("verdict", old->verdict, new->verdict);

	n += print_words("rule", old->rule, new->rule);
	n += print_settings(IN_GLOBAL, &old->policy->global, &new->policy->global);
	if (was && is)
		n += print_settings(IN_BOX, &was->all, &is->all);
	if (was || is) {
		n += print_lines('-', old->steps, new->steps);
		n += print_lines('+', new->steps, old->steps);
	}
	if (!n)
		printf("no difference\n");
}

int explain_diff(struct policy *now, const char *conf_dir, const char *other,
	const struct request *request, struct fail *f)
{
	struct side sides[2] = { { 0 }, { .policy = now } };
	int result = -1;

	if (load_other(&sides[0].policy, conf_dir, other, f) == 0 &&
		fill(&sides[0], request, f) == 0 && fill(&sides[1], request, f) == 0) {
		compare(&sides[0], &sides[1]);
		result = 0;
	}
	sides[1].policy = NULL; /* the caller's */
	empty(&sides[0]);
	empty(&sides[1]);
	return result;
}
