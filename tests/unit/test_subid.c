#include "lib/linux/subid.h"
#include "tests/unit/dir_help.h"

static struct id_range found[4];
static size_t n;
static char words[700];

/* Reads a file with this text for alice, uid 2001; "" or what was refused. */
static const char *read_text(const char *text)
{
	struct fail f = { 0 };

	n = 0;
	dir_write("subuid", text);
	if (subid_read(dir_path("subuid"), "alice", 2001, found, 4, &n, &f) < 0)
		return dir_short(fail_word(&f, words, sizeof(words)));
	return "";
}

static void ranges_of_the_user_by_name_and_by_number(void)
{
	if (!dir_begin())
		return;
	CHECK_TEXT(read_text("bob:1:2\nalice:100000:65536\n2001:5:1\nalicex:9:9\n20011:9:9\n"), "");
	CHECK_NUMBER(n, 2);
	CHECK_NUMBER(found[0].first, 100000);
	CHECK_NUMBER(found[0].count, 65536);
	CHECK_NUMBER(found[1].first, 5);
	CHECK_TEXT(read_text("alice:100000:0\n"), "");
	CHECK_NUMBER(n, 0);
	CHECK_TEXT(read_text("alice:4294967294:1"), "");
	CHECK_NUMBER(n, 1);
	CHECK_TEXT(read_text(""), "");
	CHECK_NUMBER(n, 0);
	dir_end();
}

static void what_others_have_wrong_is_theirs(void)
{
	if (!dir_begin())
		return;
	CHECK_TEXT(read_text("bob:0:65536\n\n# alice:1\nbob\n:::\n"), "");
	CHECK_NUMBER(n, 0);
	dir_end();
}

static void a_line_of_the_users_that_is_wrong_refuses(void)
{
	static const char *const wrong[] = { "alice:1", "alice::1", "alice:1:", "alice:-1:1",
		"alice:1:1:1", "alice: 1:1", "alice:1:1 ", "alice:1:4294967295",
		"alice:4294967295:1", "alice:99999999999999999999:1", "2001:x:1" };

	if (!dir_begin())
		return;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_TEXT(read_text(wrong[i]),
			"cannot read subordinate ids 'T/subuid:1': it is not OWNER:FIRST:COUNT");
	CHECK_TEXT(read_text("bob:1:1\nalice:0:9\n"),
		"cannot read subordinate ids 'T/subuid:2': root's own id is among them");
	CHECK_TEXT(read_text("alice:1:1\nalice:3:1\nalice:5:1\nalice:7:1\nalice:9:1\n"),
		"cannot read subordinate ids 'T/subuid:5': the user has more ranges than a box can "
		"map");
	dir_end();
}

static void a_file_that_is_not_there_has_none_and_one_of_others_is_refused(void)
{
	struct fail f = { 0 };

	if (!dir_begin())
		return;
	n = 0;
	CHECK_NUMBER(subid_read(dir_path("none"), "alice", 2001, found, 4, &n, &f), 0);
	CHECK(!fail_is_set(&f) && n == 0);
	dir_write("open", "alice:1:1\n");
	CHECK(chmod(dir_path("open"), 0666) == 0);
	CHECK_NUMBER(subid_read(dir_path("open"), "alice", 2001, found, 4, &n, &f), -1);
	CHECK_NUMBER(f.kind, FAIL_REFUSED);
	dir_end();
}

static bool counts(const char *text)
{
	struct fail f = { 0 };

	dir_write("nsswitch.conf", text);
	return subid_check_source(dir_path("nsswitch.conf"), &f) == 0;
}

static void only_where_the_files_are_the_whole_truth(void)
{
	struct fail f = { 0 };

	if (!dir_begin())
		return;
	CHECK_NUMBER(subid_check_source(dir_path("none"), &f), 0);
	CHECK(counts("passwd: files sss\n# subid: sss\n"));
	CHECK(counts("subid: files\n"));
	CHECK(counts("  subid:\tfiles # as usual"));
	CHECK(!counts("passwd: files\nsubid: sss\n"));
	CHECK(!counts("subid: files sss\n"));
	CHECK(!counts("subid:\n"));
	CHECK(!counts("subid: filesystem\n"));
	dir_end();
}

int main(void)
{
	RUN(ranges_of_the_user_by_name_and_by_number);
	RUN(what_others_have_wrong_is_theirs);
	RUN(a_line_of_the_users_that_is_wrong_refuses);
	RUN(a_file_that_is_not_there_has_none_and_one_of_others_is_refused);
	RUN(only_where_the_files_are_the_whole_truth);
	return test_end();
}
