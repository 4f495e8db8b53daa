#include "lib/base/ini.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

static char words[700];

/* The message for these bytes, "" when they are well. */
static const char *message(const void *p, size_t n)
{
	struct fail f = { 0 };
	struct ini ini = { 0 };
	OWN_FD fd = test_bytes(p, n);

	words[0] = '\0';
	if (ini_read(&ini, fd, "t", &f) < 0)
		fail_word(&f, words, sizeof(words));
	ini_free(&ini);
	return words;
}

#define IS(text, wanted) CHECK_TEXT(message(text, sizeof(text) - 1), wanted)

static void what_is_plain_is_read_with_its_lines(void)
{
	struct fail f = { 0 };
	struct ini ini = { 0 };
	OWN_FD fd = test_text("# comment ; \" ' = [x]\n\n[global]\n\tmode =  enforce \n; c\n"
			      "[box a-b_1]\nbind.www = /a:/b:ro\nenv.p=PATH=/x y\n");

	if (ini_read(&ini, fd, "t", &f) < 0) {
		test_fail(__FILE__, __LINE__, "%s", fail_word(&f, words, sizeof(words)));
		return;
	}
	CHECK_NUMBER(ini.n_sections, 2);
	CHECK_TEXT(ini.sections[0].kind, "global");
	CHECK_TEXT(ini.sections[0].name, "");
	CHECK_NUMBER(ini.sections[0].line, 3);
	CHECK_TEXT(ini.sections[0].keys[0].name, "mode");
	CHECK_TEXT(ini.sections[0].keys[0].value, "enforce");
	CHECK_NUMBER(ini.sections[0].keys[0].line, 4);
	CHECK_TEXT(ini.sections[1].name, "a-b_1");
	CHECK_TEXT(ini.sections[1].keys[0].name, "bind.www");
	CHECK_TEXT(ini.sections[1].keys[0].value, "/a:/b:ro");
	CHECK_TEXT(ini.sections[1].keys[1].value, "PATH=/x y");
	CHECK_NUMBER(ini.sections[1].keys[1].line, 8);
	ini_free(&ini);
}

static void an_empty_file_is_well(void)
{
	IS("", "");
	IS("\n", "");
	IS("# only this\n", "");
}

static void duplicates_are_refused(void)
{
	IS("[box a]\n[box a]\n", "t:2: section box a stands in line 1 already");
	IS("[global]\nx = 1\n[global]\n", "t:3: section global stands in line 1 already");
	IS("[box a]\nx = 1\ny = 2\nx = 1\n", "t:4: key x stands in line 2 already");
	IS("[box a]\nx = 1\n[box b]\nx = 1\n", "");
}

static void a_key_before_any_section_is_refused(void)
{
	IS("x = 1\n", "t:1: a key before any section");
}

#define FORM "a section is [KIND] or [KIND NAME] and nothing else on its line"

static void other_forms_of_sections_are_refused(void)
{
	IS("[]\n", "t:1: " FORM);
	IS("[box a\n", "t:1: " FORM);
	IS("[box  a]\n", "t:1: " FORM);
	IS("[ box]\n", "t:1: " FORM);
	IS("[box ]\n", "t:1: " FORM);
	IS("[box a b]\n", "t:1: " FORM);
	IS("[box a]]\n", "t:1: " FORM);
	IS("[box\ta]\n", "t:1: " FORM);
	IS("[box a] x = 1\n", "t:1: " FORM);
	IS("[box a] # no\n", "t:1: " FORM);
	IS("[\n", "t:1: " FORM);
	IS("[box a/b]\n",
		"t:1: the name 'a/b' of a section has other bytes than a-z 0-9 - _");
	IS("[box aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", "");
	IS("[box aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
		"t:1: the name 'aaaaaaaaaaaaaaaa...' of a section is longer than 32 bytes");
}

static void upper_case_is_refused(void)
{
	IS("[Box a]\n", "t:1: upper case in the name 'Box' of a section");
	IS("[box A]\n", "t:1: upper case in the name 'A' of a section");
	IS("[box a]\nMode = 1\n", "t:2: upper case in the name 'Mode' of a key");
	IS("[box a]\nbind.A = 1\n", "t:2: upper case in the name 'A' of a label");
}

static void colons_in_names_are_refused(void)
{
	IS("[box a:b]\n", "t:1: a colon in the name of a section");
	IS("[box a]\nx:y = 1\n", "t:2: a colon in the name of a key");
}

static void quotes_and_backslashes_are_refused(void)
{
	IS("[box a]\nx = \"1\"\n", "t:2: a quote; values are written without");
	IS("[box a]\nx = '1'\n", "t:2: a quote; values are written without");
	IS("[box a]\nx = it's\n", "t:2: a quote; values are written without");
	IS("[box a]\nx = a\\\n", "t:2: a backslash");
	IS("[box a]\nx = a\\b\n", "t:2: a backslash");
	IS("[box a]\n# joined \\\nx = 1\n", "t:2: a backslash");
	IS("[box a]\n# joined \\ \t\nx = 1\n", "t:2: a backslash");
	IS("[box a]\n# not \\ joined\nx = 1\n", "");
}

static void comment_signs_inside_a_value_are_refused(void)
{
	IS("[box a]\nx = 1 # no\n", "t:2: a '#' inside a value; a comment has its own line");
	IS("[box a]\nx = 1;2\n", "t:2: a ';' inside a value; a comment has its own line");
	IS("[box a]\nx = ;\n", "t:2: a ';' inside a value; a comment has its own line");
}

static void control_bytes_are_refused(void)
{
	IS("[box a]\nx = 1\r\n", "t:2: a control byte (0x0d)");
	IS("[box a]\nx = 1\0002\n", "t:2: a control byte (0x00)");
	IS("[box a]\n# \033[2J\n", "t:2: a control byte (0x1b)");
	IS("[box a]\nx = a\tb\n", "t:2: a control byte (0x09) inside a value");
	IS("[box a]\nx = \177\n", "t:2: a control byte (0x7f)");
	IS("[box a]\n\fx = 1\n", "t:2: a control byte (0x0c)");
}

static void a_byte_order_mark_is_refused(void)
{
	IS("\xef\xbb\xbf[global]\n", "t:1: a byte-order mark");
}

static void lines_have_an_end_and_at_most_1000_bytes(void)
{
	char line[1100];

	memset(line, 'x', sizeof(line));
	memcpy(line, "[a]\nk = ", 8);
	line[4 + 1000] = '\n';
	CHECK_TEXT(message(line, 4 + 1001), "");
	line[4 + 1000] = 'x';
	line[4 + 1001] = '\n';
	CHECK_TEXT(message(line, 4 + 1002), "t:2: a line of more than 1000 bytes");
	line[4] = '#';
	CHECK_TEXT(message(line, 4 + 1002), "t:2: a line of more than 1000 bytes");
	IS("[global]\nx = 1", "t:2: the last line has no end");
	IS("[global]", "t:1: the last line has no end");
	IS("#", "t:1: the last line has no end");
}

static void lines_that_are_nothing_are_refused(void)
{
	IS("[a]\nword\n", "t:2: neither a [section], nor 'key = value', nor a comment");
	IS("[a]\nx =\n", "t:2: a key without a value");
	IS("[a]\n= 1\n", "t:2: a key without a name");
	IS("[a]\nx y = 1\n", "t:2: the name 'x y' of a key has other bytes than a-z 0-9 - _");
	IS("[a]\nx. = 1\n", "t:2: a label without a name");
	IS("[a]\nx.a.b = 1\n", "t:2: the name 'a.b' of a label has other bytes than a-z 0-9 - _");
	IS("[a]\n]x = 1\n", "t:2: the name ']x' of a key has other bytes than a-z 0-9 - _");
}

static void size_and_number_of_lines_are_bounded(void)
{
	size_t size = INI_BYTES_MAX + 1;
	OWN_STR much = malloc(size);

	memset(much, '\n', size);
	CHECK_TEXT(message(much, size), "t:1: more than 1048576 bytes");
	CHECK_TEXT(message(much, size - 1), "");

	struct fail f = { 0 };
	struct ini ini = { 0 };
	OWN_STR text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	fputs("[a]\n", to);
	for (int i = 1; i <= INI_ENTRIES_MAX; i++)
		fprintf(to, "k%d = 1\n", i);
	fclose(to);
	OWN_FD fd = test_bytes(text, length);
	CHECK_NUMBER(ini_read(&ini, fd, "t", &f), -1);
	CHECK_TEXT(fail_word(&f, words, sizeof(words)),
		"t:16385: more than 16384 sections and keys in one file");
}

static void a_directory_is_not_an_empty_file(void)
{
	struct fail f = { 0 };
	struct ini ini = { 0 };
	FILE *dir = fopen("/", "r");
	int fd = dir ? fileno(dir) : -1;

	CHECK_NUMBER(ini_read(&ini, fd, "t", &f), -1);
	CHECK_TEXT(fail_word(&f, words, sizeof(words)), "cannot read the policy 't': Is a directory");
	if (dir)
		fclose(dir);
}

int main(void)
{
	RUN(what_is_plain_is_read_with_its_lines);
	RUN(an_empty_file_is_well);
	RUN(duplicates_are_refused);
	RUN(a_key_before_any_section_is_refused);
	RUN(other_forms_of_sections_are_refused);
	RUN(upper_case_is_refused);
	RUN(colons_in_names_are_refused);
	RUN(quotes_and_backslashes_are_refused);
	RUN(comment_signs_inside_a_value_are_refused);
	RUN(control_bytes_are_refused);
	RUN(a_byte_order_mark_is_refused);
	RUN(lines_have_an_end_and_at_most_1000_bytes);
	RUN(lines_that_are_nothing_are_refused);
	RUN(size_and_number_of_lines_are_bounded);
	RUN(a_directory_is_not_an_empty_file);
	return test_end();
}
