#include "lib/linux/journal.h"

#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void every_word_of_a_line_is_a_field(void)
{
	char buffer[400];
	struct text entry = text_in(buffer, sizeof(buffer));

	journal_add(&entry, "MESSAGE", "as it is");
	journal_add_words(&entry, "LOGINBOX_", "box=student id=7f3a rule=a@/etc/x.conf:28 ms=9");
	CHECK_TEXT(buffer, "MESSAGE=as it is\nLOGINBOX_BOX=student\nLOGINBOX_ID=7f3a\n"
			   "LOGINBOX_RULE=a@/etc/x.conf:28\nLOGINBOX_MS=9\n");
}

static void a_value_in_quotes_goes_to_the_last_quote(void)
{
	char buffer[400];
	struct text entry = text_in(buffer, sizeof(buffer));

	journal_add_words(&entry, "L_", "a=1 why=\"cannot open \"x\" id=2\"");
	CHECK_TEXT(buffer, "L_A=1\nL_WHY=cannot open \"x\" id=2\n");
}

static void words_of_another_form_are_left_out(void)
{
	char buffer[400];
	struct text entry = text_in(buffer, sizeof(buffer));

	journal_add_words(&entry, "L_",
		"Word =1 A=1 _uid=0 a-b=1 abcdefghijklmnopqrstuvwxyz=1 x  y= z=a=b why=\"open end");
	CHECK_TEXT(buffer, "L_Y=\nL_Z=a=b\nL_WHY=open end\n");
}

static void an_entry_that_was_cut_is_not_sent(void)
{
	char buffer[8];
	struct text entry = text_in(buffer, sizeof(buffer));
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
	journal_add(&entry, "MESSAGE", "longer than that");
	CHECK(journal_send(pair[0], &entry) < 0 && errno == EMSGSIZE);
	CHECK(recv(pair[1], buffer, sizeof(buffer), 0) < 0);
	own_fd_close(&pair[0]);
	own_fd_close(&pair[1]);
}

int main(void)
{
	RUN(every_word_of_a_line_is_a_field);
	RUN(a_value_in_quotes_goes_to_the_last_quote);
	RUN(words_of_another_form_are_left_out);
	RUN(an_entry_that_was_cut_is_not_sent);
	return test_end();
}
