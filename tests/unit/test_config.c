#include "helper/policy/config.h"
#include "helper/policy/policy.h"
#include "tests/unit/dir_help.h"

static char words[700];

/* The files that were read, in order, with `*` after the main one; or the message. */
static const char *load(void)
{
	static char out[2000];
	char vendor[PATH_MAX];
	struct config config = { 0 };
	struct fail f = { 0 };

	out[0] = '\0';
	snprintf(vendor, sizeof(vendor), "%s", dir_path("vendor"));
	if (config_load(&config, dir_path("site"), vendor, &f) < 0)
		return dir_short(fail_word(&f, words, sizeof(words)));
	for (size_t i = 0; i < config.n_files; i++) {
		size_t n = strlen(out);
		snprintf(out + n, sizeof(out) - n, "%s%s%s", i ? " " : "",
			config.files[i].name, config.files[i].main ? "*" : "");
		dir_short(out);
	}
	config_free(&config);
	return out;
}

static bool begin(void)
{
	if (!dir_begin())
		return false;
	dir_make("vendor");
	dir_make("vendor/loginbox.d");
	dir_make("site");
	dir_make("site/loginbox.d");
	return true;
}

static void nothing_at_all_is_well(void)
{
	if (!dir_begin())
		return;
	CHECK_TEXT(load(), "");
	dir_make("vendor");
	dir_make("site");
	CHECK_TEXT(load(), "");
	dir_end();
}

static void files_are_read_by_base_name_and_the_main_one_last(void)
{
	if (!begin())
		return;
	dir_write("vendor/loginbox.d/base.conf", "");
	dir_write("vendor/loginbox.d/20-z.conf", "");
	dir_write("site/loginbox.d/10-b.conf", "");
	dir_write("site/loginbox.d/30-a.conf", "");
	dir_write("site/loginbox.conf", "");
	CHECK_TEXT(load(),
		"T/site/loginbox.d/10-b.conf T/vendor/loginbox.d/20-z.conf "
		"T/site/loginbox.d/30-a.conf T/vendor/loginbox.d/base.conf T/site/loginbox.conf*");
	dir_end();
}

static void a_file_of_the_site_replaces_the_vendors(void)
{
	if (!begin())
		return;
	dir_write("vendor/loginbox.d/files.conf", "[this is wrong\n");
	CHECK_TEXT(load(), "T/vendor/loginbox.d/files.conf:1: a section is [KIND] or [KIND NAME] "
			   "and nothing else on its line");
	dir_write("site/loginbox.d/files.conf", "");
	CHECK_TEXT(load(), "T/site/loginbox.d/files.conf");
	dir_end();
}

static void other_names_are_no_drop_ins(void)
{
	if (!begin())
		return;
	dir_write("site/loginbox.d/.hidden.conf", "wrong\n");
	dir_write("site/loginbox.d/a.conf.bak", "wrong\n");
	dir_write("site/loginbox.d/a.conf~", "wrong\n");
	dir_write("site/loginbox.d/README", "wrong\n");
	dir_write("site/loginbox.d/.conf", "wrong\n");
	CHECK_TEXT(load(), "");
	dir_end();
}

static void what_others_can_write_makes_the_policy_wrong(void)
{
	if (!begin())
		return;
	dir_write("site/loginbox.conf", "");
	dir_write("site/loginbox.d/a.conf", "");
	CHECK(chmod(dir_path("site/loginbox.conf"), 0666) == 0);
	CHECK_TEXT(load(), "T/site/loginbox.conf: group or others can write to it");
	CHECK(chmod(dir_path("site/loginbox.conf"), 0644) == 0);
	CHECK(chown(dir_path("site/loginbox.d/a.conf"), 1000, 0) == 0);
	CHECK_TEXT(load(), "T/site/loginbox.d/a.conf: it is not owned by root");
	CHECK(chown(dir_path("site/loginbox.d/a.conf"), 0, 0) == 0);
	CHECK(chmod(dir_path("site/loginbox.d"), 0775) == 0);
	CHECK_TEXT(load(), "T/site/loginbox.d: group or others can write to it");
	CHECK(chmod(dir_path("site/loginbox.d"), 0755) == 0);
	CHECK(chmod(dir_path("vendor"), 0777) == 0);
	CHECK_TEXT(load(), "T/vendor: group or others can write to it");
	dir_end();
}

static void links_and_other_things_make_the_policy_wrong(void)
{
	if (!begin())
		return;
	CHECK(symlink("/dev/null", dir_path("site/loginbox.d/base.conf")) == 0);
	CHECK_TEXT(load(), "T/site/loginbox.d/base.conf: it is a symbolic link");
	CHECK(unlink(dir_path("site/loginbox.d/base.conf")) == 0);
	dir_make("site/loginbox.d/base.conf");
	CHECK_TEXT(load(), "T/site/loginbox.d/base.conf: it is no regular file");
	CHECK(rmdir(dir_path("site/loginbox.d/base.conf")) == 0);
	dir_make("site/loginbox.conf");
	CHECK_TEXT(load(), "T/site/loginbox.conf: it is no regular file");
	dir_end();
}

static void a_directory_that_is_named_must_be_there(void)
{
	struct policy *policy = NULL;
	struct fail f = { 0 };

	if (!dir_begin())
		return;
	CHECK_NUMBER(policy_load(&policy, dir_path("gone"), &f), -1);
	CHECK_NUMBER(f.kind, FAIL_POLICY);
	CHECK_TEXT(dir_short(fail_word(&f, words, sizeof(words))),
		"T/gone: No such file or directory");
	dir_end();
}

int main(void)
{
	RUN(nothing_at_all_is_well);
	RUN(files_are_read_by_base_name_and_the_main_one_last);
	RUN(a_file_of_the_site_replaces_the_vendors);
	RUN(other_names_are_no_drop_ins);
	RUN(what_others_can_write_makes_the_policy_wrong);
	RUN(links_and_other_things_make_the_policy_wrong);
	RUN(a_directory_that_is_named_must_be_there);
	return test_end();
}
