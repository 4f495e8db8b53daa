#include "lib/base/report.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int report_add(struct report *report, const char *format, ...)
{
	OWN_STR line = NULL;
	va_list args;

	va_start(args, format);
	int n = vasprintf(&line, format, args);
	va_end(args);
	if (n < 0) {
		line = NULL;
		return -1;
	}
	char **lines = reallocarray(report->lines, report->n + 1, sizeof(*lines));
	if (!lines)
		return -1;
	report->lines = lines;
	text_clean(line);
	report->lines[report->n++] = take_str(&line);
	return 0;
}

void report_free(struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		free(report->lines[i]);
	free(report->lines);
	*report = (struct report){ 0 };
}
