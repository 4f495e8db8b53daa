#include "pam/args.h"

#include "lib/base/text.h"

#include <string.h>

#define DEADLINE_MS 60000
#define DEADLINE_MAX_S 600

void args_read(struct args *out, int argc, const char **argv)
{
	uint64_t seconds;

	*out = (struct args){ .deadline_ms = DEADLINE_MS, .conf = "" };
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (strcmp(word, "open") == 0 && out->line != LINE_CLOSE)
			out->line = LINE_OPEN;
		else if (strcmp(word, "close") == 0 && out->line != LINE_OPEN)
			out->line = LINE_CLOSE;
		else if (strcmp(word, "debug") == 0)
			out->debug = true;
		else if (strcmp(word, "tty_pts=allow") == 0)
			out->tty_pts = true;
		else if (text_starts(word, "conf=/"))
			out->conf = word + strlen("conf=");
		else if (text_starts(word, "deadline=") &&
			text_to_u64(word + strlen("deadline="), DEADLINE_MAX_S, &seconds) && seconds)
			out->deadline_ms = (uint32_t)seconds * 1000;
		else if (!out->wrong)
			out->wrong = word;
	}
}
