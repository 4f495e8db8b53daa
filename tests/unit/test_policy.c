#include "helper/policy/match.h"
#include "tests/unit/policy_help.h"

#include <glob.h>

static char words[700];

/* The wanted message of a bad policy: its first line is `# message: FILE:LINE: ...`. */
static bool wanted_message(const char *path, char *out, size_t size)
{
	static const char start[] = "# message: ";
	OWN_FILE file = fopen(path, "re");

	if (!file || !fgets(out, (int)size, file) || strncmp(out, start, sizeof(start) - 1) != 0)
		return false;
	memmove(out, out + sizeof(start) - 1, strlen(out + sizeof(start) - 1) + 1);
	out[strcspn(out, "\n")] = '\0';
	return true;
}

static void check_bad(const char *path)
{
	char wanted[700];
	OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct policy *policy = policy_of_fd(fd, words, sizeof(words));

	if (!wanted_message(path, wanted, sizeof(wanted)))
		test_fail(__FILE__, __LINE__, "%s does not begin with its message", path);
	else if (strcmp(words, wanted) != 0)
		test_fail(__FILE__, __LINE__, "%s: '%s' is not '%s'", path, words, wanted);
	policy_free(policy);
}

static void check_good(const char *path)
{
	OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct policy *policy = policy_of_fd(fd, words, sizeof(words));

	if (!policy)
		test_fail(__FILE__, __LINE__, "%s: %s", path, words);
	policy_free(policy);
}

static void for_each(const char *pattern, void (*check)(const char *))
{
	glob_t found = { 0 };

	glob(pattern, 0, NULL, &found);
	CHECK(found.gl_pathc > 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check(found.gl_pathv[i]);
	globfree(&found);
}

static void every_bad_policy_earns_its_message(void)
{
	for_each("tests/config/bad/*.conf", check_bad);
}

static void every_good_policy_is_read(void)
{
	for_each("tests/config/good/*.conf", check_good);
	for_each("etc/loginbox.conf", check_good);
	for_each("etc/loginbox.d/*.conf", check_good);
}

/* Each row that is not built, and each value, is refused and not ignored. */
static void nothing_that_is_not_built_is_ignored(void)
{
	char text[200], wanted[200];

	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key *key = &key_table[i];
		if (key->kind != KIND_LATER)
			continue;
		snprintf(text, sizeof(text), "[box a]\n%s = none\n", key->name);
		char *label = strstr(text, "LABEL");
		if (label)
			memcpy(label, "a----", 5);
		snprintf(wanted, sizeof(wanted), "FILE:2: %.*s is not built yet",
			(int)strcspn(text + 8, " "), text + 8);
		OWN_FD fd = test_text(text);
		struct policy *policy = policy_of_fd(fd, words, sizeof(words));
		CHECK(!policy);
		CHECK_TEXT(words, wanted);
		policy_free(policy);
	}
}

static void the_vendors_base_is_what_is_compiled_in(void)
{
	OWN_FD fd = open("etc/loginbox.d/base.conf", O_RDONLY | O_CLOEXEC);
	struct policy *policy = policy_of_fd(fd, words, sizeof(words));

	if (!policy) {
		test_fail(__FILE__, __LINE__, "%s", words);
		return;
	}
	const struct box *base = policy_find_box(policy, "base");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key *key = &key_table[i];
		const struct setting *s = base->own.by_key[i];
		if (key->section != IN_BOX || key->kind == KIND_LATER || !key->value)
			continue;
		if (!s || strcmp(s->text, key->value) != 0)
			test_fail(__FILE__, __LINE__, "base.conf has %s = %s, compiled in is %s",
				key->name, s ? s->text : "(nothing)", key->value);
	}
	policy_free(policy);
}

static char *read_text(const char *path)
{
	char *text = calloc(1, 1 << 17);
	OWN_FILE file = fopen(path, "re");

	if (file && text)
		(void)!fread(text, 1, (1 << 17) - 1, file);
	return text;
}

/* Each key once as an item, or below "Not built yet" where there is one; and each default of
 * base.conf. */
static void the_manual_page_and_base_conf_name_every_key(void)
{
	OWN_STR page = read_text("etc/loginbox.conf.5");
	OWN_STR base = read_text("etc/loginbox.d/base.conf");
	const char *later = strstr(page, ".Ss Not built yet");
	char item[100];

	if (!later)
		later = page + strlen(page);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key *key = &key_table[i];
		bool built = key->kind != KIND_LATER;
		snprintf(item, sizeof(item), built ? ".It Ic %s\n" : ".Ic %s ", key->name);
		const char *found = strstr(built ? page : later, item);
		if (!found || (built && found > later))
			test_fail(__FILE__, __LINE__, "the manual page lacks %s", key->name);
		if (!built && !strstr(base, key->name))
			test_fail(__FILE__, __LINE__, "base.conf lacks %s", key->name);
	}
}

static void a_box_inherits_what_it_does_not_say(void)
{
	struct policy *p = policy_of_text("[box c]\ninherit = b\nnproc = 7\n[box a]\ntmp = host\n"
					  "nproc = 5\n[box b]\ninherit = a\nipc = host\n");
	if (!p)
		return;
	const struct box *c = policy_find_box(p, "c");
	CHECK_TEXT(c->all.by_key[KEY_TMP]->text, "host");
	CHECK_TEXT(c->all.by_key[KEY_TMP]->at, "FILE:5");
	CHECK_TEXT(c->all.by_key[KEY_IPC]->at, "FILE:9");
	CHECK_TEXT(c->all.by_key[KEY_NPROC]->text, "7");
	CHECK(c->all.by_key[KEY_CORE]->at == NULL);
	CHECK_TEXT(c->parent->parent->parent->name, "base");
	policy_free(p);
}

static void none_empties_an_inherited_list(void)
{
	struct policy *p = policy_of_text("[box a]\nread_only = /usr\n[box b]\ninherit = a\n"
					  "read_only = none\n");
	if (!p)
		return;
	CHECK_NUMBER(policy_find_box(p, "b")->all.by_key[KEY_READ_ONLY]->value.n_items, 0);
	CHECK_NUMBER(policy_find_box(p, "a")->all.by_key[KEY_READ_ONLY]->value.n_items, 1);
	policy_free(p);
}

static void values_mean_what_the_manual_says(void)
{
	struct policy *p = policy_of_text(
		"[box a]\ntmp_size = 3M\nshm_size = 7%\nnofile = 10:unlimited\nfsize = 2G\n"
		"cpu_time = 2m:90000\ncapabilities = CAP_CHOWN,kill\nlog_socket = no\n"
		"[global]\ntimeout = 2m\nforbid = new-privs, host-network\n");
	if (!p)
		return;
	const struct settings *a = &policy_find_box(p, "a")->all;
	CHECK_NUMBER(a->by_key[KEY_TMP_SIZE]->value.number, 3 << 20);
	CHECK(!a->by_key[KEY_TMP_SIZE]->value.percent);
	CHECK_NUMBER(a->by_key[KEY_SHM_SIZE]->value.number, 7);
	CHECK(a->by_key[KEY_SHM_SIZE]->value.percent);
	CHECK_NUMBER(a->by_key[KEY_NOFILE]->value.soft, 10);
	CHECK(a->by_key[KEY_NOFILE]->value.hard == VALUE_UNLIMITED);
	CHECK_NUMBER(a->by_key[KEY_FSIZE]->value.hard, 2ll << 30);
	CHECK_NUMBER(a->by_key[KEY_CPU_TIME]->value.soft, 120);
	CHECK_NUMBER(a->by_key[KEY_CPU_TIME]->value.hard, 90000);
	CHECK_NUMBER(a->by_key[KEY_CAPABILITIES]->value.number, 1 << 0 | 1 << 5);
	CHECK_NUMBER(a->by_key[KEY_LOG_SOCKET]->value.number, 0);
	CHECK_NUMBER(a->by_key[KEY_NO_NEW_PRIVS]->value.number, 1);
	CHECK_NUMBER(p->global.by_key[KEY_TIMEOUT]->value.number, 120000);
	CHECK_NUMBER(p->global.by_key[KEY_FORBID]->value.number,
		1 << FORBID_NEW_PRIVS | 1 << FORBID_HOST_NETWORK);
	policy_free(p);
}

/* ---- matching -------------------------------------------------------------------------- */

static char *group_names[] = { "users", "students", NULL };
static gid_t groups[] = { 100, 2000, 2001 };

static struct request request_of_alice(void)
{
	return (struct request){
		.account = { .name = "alice", .uid = 1004, .gid = 100, .home = "/home/alice",
			.shell = "/bin/sh", .groups = groups, .n_groups = 3,
			.group_names = group_names },
		.service = "sshd",
		.rhost = "10.0.0.7",
		.ruser = "root",
		.tty = "",
	};
}

static enum match match_alice(const char *keys, const char *rhost)
{
	char text[500], why[400];
	struct request request = request_of_alice();

	snprintf(text, sizeof(text), "[rule r]\nbox = none\n%s\n", keys);
	struct policy *p = policy_of_text(text);
	if (!p)
		return MATCH_NO;
	request.rhost = rhost;
	enum match match = match_rule(p->rules[0], &request, why, sizeof(why));
	policy_free(p);
	return match;
}

#define YES(keys) CHECK(match_alice(keys, "10.0.0.7") == MATCH_YES)
#define NO(keys) CHECK(match_alice(keys, "10.0.0.7") == MATCH_NO)

static void a_rule_matches_when_every_key_does(void)
{
	YES("user = alice\nuid = 1004\ngroup = students\nservice = sshd\nrhost = 10.0.0.7\n"
	    "ruser = root");
	NO("user = bob\nuid = 1004\ngroup = students");
	NO("user = alice\nuid = 1005");
	NO("user = alice\ngroup = staff");
	NO("user = alice\nservice = login");
	NO("user = alice\nruser = bob");
	YES("comment = nothing asked");
}

static void a_list_is_any_of_and_excludes(void)
{
	YES("user = bob, alice");
	YES("user = a*e");
	YES("user = al?ce");
	YES("user = *");
	NO("user = al?c");
	NO("user = Alice");
	NO("user = *, !alice");
	NO("user = !alice, *");
	NO("user = !a*");
	YES("user = !bob");
	NO("group = students, !users");
	YES("group = !staff");
	YES("uid = 1-10, 1000-");
	NO("uid = 1005-");
	NO("uid = 1000-2000, !1004");
}

static void addresses_match_by_bits(void)
{
	YES("rhost = 10.0.0.0/8");
	YES("rhost = 10.0.0.6/31");
	NO("rhost = 10.0.0.8/31");
	YES("rhost = 0.0.0.0/0");
	YES("rhost = ::ffff:10.0.0.0/104");
	NO("rhost = ::/0");
	NO("rhost = 10.0.0.0/8, !10.0.0.7");
	YES("rhost = !192.168.0.0/16");
	CHECK(match_alice("rhost = 10.0.0.0/8", "::ffff:10.0.0.7") == MATCH_YES);
	CHECK(match_alice("rhost = 10.0.0.0/8", "::FFFF:a00:7") == MATCH_YES);
	CHECK(match_alice("rhost = fd00::/8", "fd12::1") == MATCH_YES);
	CHECK(match_alice("rhost = fd00::/8", "fe12::1") == MATCH_NO);
	CHECK(match_alice("rhost = fe80::/10", "fe80::1%eth0") == MATCH_YES);
	CHECK(match_alice("rhost = ::1", "::1") == MATCH_YES);
}

static void an_empty_rhost_matches_no_rhost(void)
{
	CHECK(match_alice("rhost = 0.0.0.0/0, ::/0", "") == MATCH_NO);
	CHECK(match_alice("rhost = !10.0.0.0/8", "") == MATCH_NO);
	CHECK(match_alice("user = alice", "") == MATCH_YES);
}

static void a_host_name_is_not_judged_where_all_else_fits(void)
{
	CHECK(match_alice("user = alice\nrhost = 10.0.0.0/8", "evil.example") == MATCH_UNKNOWN);
	CHECK(match_alice("user = bob\nrhost = 10.0.0.0/8", "evil.example") == MATCH_NO);
	CHECK(match_alice("user = alice", "evil.example") == MATCH_YES);
	CHECK(match_alice("rhost = !10.0.0.0/8", "10.0.0.7.evil") == MATCH_UNKNOWN);
	CHECK(match_alice("rhost = 10.0.0.0/8", "010.0.0.7") == MATCH_UNKNOWN);
	CHECK(match_alice("rhost = 10.0.0.0/8", "10.0.0.7 ") == MATCH_UNKNOWN);
	CHECK(match_alice("rhost = fd00::/8", "fd00::1%eth0") == MATCH_UNKNOWN);
}

static void rules_of_the_main_file_are_tried_first(void)
{
	struct config config = { 0 };
	struct policy *p = NULL;
	struct fail f = { 0 };
	OWN_FD one = test_text("[rule a]\nbox = x\n[box x]\ntmp = host\n[global]\nmode = off\n");
	OWN_FD two = test_text("[rule b]\nbox = x\n[global]\nmode = monitor\n");

	config_add(&config, one, "ONE", false, &f);
	config_add(&config, two, "TWO", true, &f);
	CHECK_NUMBER(policy_make(&p, &config, &f), 0);
	config_free(&config);
	if (!p)
		return;
	CHECK_TEXT(p->rules[0]->name, "b");
	CHECK_TEXT(p->rules[0]->at, "TWO:1");
	CHECK_TEXT(p->rules[1]->name, "a");
	CHECK_TEXT(p->global.by_key[KEY_MODE]->text, "monitor");
	policy_free(p);
}

static void a_box_of_two_files_is_refused(void)
{
	struct config config = { 0 };
	struct policy *p = NULL;
	struct fail f = { 0 };
	OWN_FD one = test_text("[box x]\ntmp = host\n");
	OWN_FD two = test_text("\n[box x]\ntmp = host\n");

	config_add(&config, one, "ONE", false, &f);
	config_add(&config, two, "TWO", true, &f);
	CHECK_NUMBER(policy_make(&p, &config, &f), -1);
	CHECK_TEXT(fail_word(&f, words, sizeof(words)), "TWO:2: box 'x' is defined at ONE:1 already");
	config_free(&config);
}

static void patterns_take_no_time_of_their_own(void)
{
	char name[2000];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK(!pattern_fits("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
	CHECK(pattern_fits("*a*a*a*", name));
	CHECK(pattern_fits("", ""));
	CHECK(pattern_fits("**", ""));
	CHECK(!pattern_fits("?", ""));
}

int main(void)
{
	RUN(every_bad_policy_earns_its_message);
	RUN(every_good_policy_is_read);
	RUN(nothing_that_is_not_built_is_ignored);
	RUN(the_vendors_base_is_what_is_compiled_in);
	RUN(the_manual_page_and_base_conf_name_every_key);
	RUN(a_box_inherits_what_it_does_not_say);
	RUN(none_empties_an_inherited_list);
	RUN(values_mean_what_the_manual_says);
	RUN(a_rule_matches_when_every_key_does);
	RUN(a_list_is_any_of_and_excludes);
	RUN(addresses_match_by_bits);
	RUN(an_empty_rhost_matches_no_rhost);
	RUN(a_host_name_is_not_judged_where_all_else_fits);
	RUN(rules_of_the_main_file_are_tried_first);
	RUN(a_box_of_two_files_is_refused);
	RUN(patterns_take_no_time_of_their_own);
	return test_end();
}
