/* etc/loginbox.conf and etc/examples: what a site begins with is right. Runs in the top. */
#include "tests/unit/policy_help.h"

#include "helper/policy/keys.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

static char words[700];

static char *read_text(const char *path)
{
	char *text = calloc(1, 1 << 17);
	OWN_FILE file = fopen(path, "re");

	if (file && text)
		(void)!fread(text, 1, (1 << 17) - 1, file);
	return text;
}

/* Where the section's commented line stands; the next one ends it. */
static char *section_of(const char *text, enum section section)
{
	static const char *const heads[] = { "\n#[global]\n", "\n#[rule NAME]\n", "\n#[box NAME]\n",
		"\n#[network NAME]\n" };
	const char *at = strstr(text, heads[section]);
	const char *end = at ? strstr(at + strlen(heads[section]), "\n#[") : NULL;

	return !at ? NULL : end ? strndup(at, (size_t)(end - at)) : strdup(at);
}

static void check_key(const char *text, const struct key *key)
{
	OWN_STR part = section_of(text, key->section);
	const char *label = strchr(key->name, '.');
	char line[200];

	if (label)
		snprintf(line, sizeof(line), "\n#%.*s.", (int)(label - key->name), key->name);
	else if (key->value && key->kind != KIND_LATER)
		snprintf(line, sizeof(line), "\n#%s = %s\n", key->name, key->value);
	else
		snprintf(line, sizeof(line), "\n#%s = ", key->name);
	if (!part || !strstr(part, line))
		test_fail(__FILE__, __LINE__, "etc/loginbox.conf lacks in %s: %s",
			key_section_name(key->section), line + 1);
}

static void loginbox_conf_has_every_key_with_its_default(void)
{
	OWN_STR text = read_text("etc/loginbox.conf");

	bool later = false;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		check_key(text, &key_table[i]);
		later = later || key_table[i].kind == KIND_LATER;
	}
	CHECK(later == (strstr(text, "(not built yet)") != NULL));
}

static void loginbox_conf_as_it_is_has_no_rule(void)
{
	OWN_FD fd = open("etc/loginbox.conf", O_RDONLY | O_CLOEXEC);
	struct policy *policy = policy_of_fd(fd, words, sizeof(words));

	CHECK_TEXT(words, "");
	if (policy) {
		CHECK_NUMBER(policy->n_rules, 0);
		CHECK_NUMBER(policy->n_boxes, 1);
	}
	policy_free(policy);
}

/* "#key = value" without the #; "# words" and what is not built yet stay comments. */
static char *taken_out(const char *text)
{
	OWN_STR copy = strdup(text);
	char *out = NULL, *save = NULL;
	size_t size;
	FILE *to = open_memstream(&out, &size);
	bool later = false;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = strstr(line, "NAME");
		if (line[0] == '#' && line[1] == ' ')
			later = strstr(line, "(not built yet)") != NULL;
		if (line[0] != '#' || line[1] == ' ' || !line[1] || later)
			continue;
		if (name && line[1] == '[')
			memcpy(name, "name", 4);
		fprintf(to, "%s\n", line + 1);
	}
	fclose(to);
	return out;
}

static void every_line_of_loginbox_conf_may_be_taken_out_of_its_comment(void)
{
	OWN_STR text = read_text("etc/loginbox.conf");
	OWN_STR active = taken_out(text);
	struct policy *policy = policy_of_text(active);

	if (policy) {
		CHECK_NUMBER(policy->n_rules, 1);
		CHECK_NUMBER(policy->n_networks, 1);
	}
	policy_free(policy);
}

static void every_example_loads_and_boxes_somebody(void)
{
	glob_t found;

	CHECK_NUMBER(glob("etc/examples/*/loginbox.conf", 0, NULL, &found), 0);
	CHECK_NUMBER(found.gl_pathc, 6);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		OWN_FD fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
		struct policy *policy = policy_of_fd(fd, words, sizeof(words));
		if (*words)
			test_fail(__FILE__, __LINE__, "%s: %s", found.gl_pathv[i], words);
		else
			CHECK(policy->n_rules > 0 && policy->n_boxes > 1);
		policy_free(policy);
	}
	globfree(&found);
}

int main(void)
{
	RUN(loginbox_conf_has_every_key_with_its_default);
	RUN(loginbox_conf_as_it_is_has_no_rule);
	RUN(every_line_of_loginbox_conf_may_be_taken_out_of_its_comment);
	RUN(every_example_loads_and_boxes_somebody);
	return test_end();
}
