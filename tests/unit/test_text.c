#include "lib/base/text.h"
#include "tests/unit/test.h"

static void text_beyond_its_buffer_is_cut_and_says_so(void)
{
	char buffer[8];
	struct text t = text_in(buffer, sizeof(buffer));

	text_add(&t, "%s", "1234");
	CHECK(!t.cut);
	text_add(&t, "%s", "56789");
	CHECK(t.cut);
	CHECK_TEXT(buffer, "1234567");
	text_add(&t, "more");
	CHECK_TEXT(buffer, "1234567");
}

static void control_bytes_become_question_marks(void)
{
	char s[] = "a\x1b[2J\n\x7f\x9b z";

	text_clean(s);
	CHECK_TEXT(s, "a?[2J??? z");
}

static void a_copy_that_does_not_fit_is_empty(void)
{
	char s[4] = "xyz";

	CHECK(text_copy(s, sizeof(s), "abc"));
	CHECK_TEXT(s, "abc");
	CHECK(!text_copy(s, sizeof(s), "abcd"));
	CHECK_TEXT(s, "");
}

static void a_number_is_digits_and_nothing_else(void)
{
	static const char *const wrong[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1e3", "12abc",
		"18446744073709551616", "99999999999999999999999" };
	uint64_t n = 7;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (text_to_u64(wrong[i], UINT64_MAX, &n))
			test_fail(__FILE__, __LINE__, "'%s' was taken for a number", wrong[i]);
	CHECK_NUMBER(n, 7);
	CHECK(text_to_u64("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
	CHECK(text_to_u64("0", 0, &n) && n == 0);
	CHECK(!text_to_u64("11", 10, &n));
}

static void a_unit_is_one_letter_of_those_that_are_named(void)
{
	static const char *const wrong[] = { "", "K", "1KK", "1X", "1 K", "K1", "-1K", "1k",
		"999999999999999999999999K", "18446744073709551616" };
	uint64_t n = 7;
	int unit = 9;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (text_to_u64_unit(wrong[i], "KM", UINT64_MAX, &n, &unit))
			test_fail(__FILE__, __LINE__, "'%s' was taken for a number", wrong[i]);
	CHECK_NUMBER(n, 7);
	CHECK(text_to_u64_unit("5M", "KM", UINT64_MAX, &n, &unit) && n == 5 && unit == 1);
	CHECK(text_to_u64_unit("5", "KM", UINT64_MAX, &n, &unit) && n == 5 && unit == -1);
	CHECK(!text_to_u64_unit("11K", "K", 10, &n, &unit));
}

int main(void)
{
	RUN(text_beyond_its_buffer_is_cut_and_says_so);
	RUN(control_bytes_become_question_marks);
	RUN(a_copy_that_does_not_fit_is_empty);
	RUN(a_number_is_digits_and_nothing_else);
	RUN(a_unit_is_one_letter_of_those_that_are_named);
	return test_end();
}
