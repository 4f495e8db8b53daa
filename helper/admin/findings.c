#include "helper/admin/findings.h"

#include "helper/admin/boxes.h"
#include "helper/admin/screen.h"
#include "lib/base/own.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum screen_colour colours[] = { SCREEN_PLAIN, SCREEN_YELLOW, SCREEN_RED };
static const char *const names[] = { "note", "warning", "error" };

void findings_add(struct findings *all, enum severity severity, const char *subject,
	const char *todo, const char *format, ...)
{
	struct finding *more = reallocarray(all->at, all->n + 1, sizeof(*more));
	char *what = NULL;
	va_list args;

	if (!more) {
		all->lost = true;
		return;
	}
	all->at = more;
	va_start(args, format);
	int n = vasprintf(&what, format, args);
	va_end(args);
	struct finding *found = &more[all->n++];
	*found = (struct finding){ .severity = severity };
	found->subject = strdup(subject);
	found->what = n < 0 ? NULL : what;
	found->todo = strdup(todo);
	if (!found->subject || !found->what || !found->todo)
		all->lost = true;
}

static void print_json(const struct findings *all)
{
	printf("[");
	for (size_t i = 0; i < all->n; i++) {
		const struct finding *f = &all->at[i];
		printf("%s\n {\"severity\": \"%s\", \"subject\": ", i ? "," : "", names[f->severity]);
		boxes_json_text(stdout, f->subject ? f->subject : "");
		printf(", \"what\": ");
		boxes_json_text(stdout, f->what ? f->what : "");
		printf(", \"todo\": ");
		boxes_json_text(stdout, f->todo ? f->todo : "");
		printf("}");
	}
	printf("%s]\n", all->n ? "\n" : "");
}

#define PLURAL(n, noun) n, (n) == 1 ? noun : noun "s"

static void print_text(const struct findings *all)
{
	unsigned count[3] = { 0 };

	for (int severity = SEVERITY_ERROR; severity >= SEVERITY_NOTE; severity--)
		for (size_t i = 0; i < all->n; i++) {
			const struct finding *f = &all->at[i];
			if ((int)f->severity != severity)
				continue;
			count[severity]++;
			printf("%s%s%s: %s: %s\n", screen_colour(colours[severity]), names[severity],
				screen_colour(SCREEN_PLAIN), f->subject, f->what);
			if (f->todo && *f->todo)
				printf("    %s\n", f->todo);
		}
	if (!all->n)
		printf("%swell%s\n", screen_colour(SCREEN_GREEN), screen_colour(SCREEN_PLAIN));
	else
		printf("%u %s, %u %s, %u %s\n", PLURAL(count[SEVERITY_ERROR], "error"),
			PLURAL(count[SEVERITY_WARNING], "warning"), PLURAL(count[SEVERITY_NOTE], "note"));
}

int findings_worst(const struct findings *all)
{
	int worst = all->lost ? SEVERITY_ERROR : SEVERITY_NOTE;

	for (size_t i = 0; i < all->n; i++)
		if ((int)all->at[i].severity > worst)
			worst = (int)all->at[i].severity;
	return worst;
}

int findings_print(const struct findings *all, bool json)
{
	json ? print_json(all) : print_text(all);
	return findings_worst(all);
}

void findings_free(struct findings *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->at[i].subject);
		free(all->at[i].what);
		free(all->at[i].todo);
	}
	free(all->at);
	*all = (struct findings){ 0 };
}
