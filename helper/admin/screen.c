#include "helper/admin/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SHOWN 78

static bool is_screen(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

const char *screen_colour(enum screen_colour colour)
{
	static const char *const codes[] = { "\033[0m", "\033[31m", "\033[33m", "\033[32m" };
	const char *no = getenv("NO_COLOR");

	return is_screen(STDOUT_FILENO) && !(no && *no) ? codes[colour] : "";
}

const char *screen_fit(char *out, size_t size, const char *name, size_t width)
{
	bool fits = strlen(name) <= width;

	snprintf(out, size, "%.*s%s", (int)(fits ? width : width - 1), name, fits ? "" : "+");
	return out;
}

void screen_busy(const char *format, ...)
{
	char line[LINE_MAX_SHOWN];
	va_list args;

	if (!is_screen(STDERR_FILENO))
		return;
	fflush(stdout);
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "\r\033[K%s", line);
}

void screen_ready(void)
{
	if (is_screen(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}
