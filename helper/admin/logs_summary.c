#include "helper/admin/logs_summary.h"

#include "helper/admin/screen.h"
#include "lib/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct logs_row {
	char user[40], box[40], rule[40], result[24];
	unsigned count;
};

/* The value of " key=" up to the next space; rule=NAME@PLACE is cut at the @. */
static bool take(const char *line, const char *key, char *out, size_t size)
{
	const char *at = strstr(line, key);

	if (!at)
		return false;
	at += strlen(key);
	snprintf(out, size, "%.*s", (int)strcspn(at, " @\n"), at);
	text_clean(out);
	return true;
}

/* "[digits]: " at `at`: what stands between a program's name and its message. */
static bool is_pid(const char *at)
{
	size_t n = at[0] == '[' ? strspn(at + 1, "0123456789") : 0;
	return n && text_starts(at + 1 + n, "]: ");
}

static bool has_pid(const char *text)
{
	while ((text = strchr(text, '[')) && !is_pid(text))
		text++;
	return text;
}

/* Nothing but words key=value; one in quotes is the last, and goes to the end of the line. */
static bool is_all_words(const char *text)
{
	size_t len = strcspn(text, "\n");
	const char *end = text + len;

	while (text < end) {
		size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
		if (!n || text[n] != '=')
			return false;
		text += n + 1;
		if (*text == '"')
			return end > text + 1 && end[-1] == '"';
		text += strcspn(text, " \n");
		text += strspn(text, " ");
	}
	return len;
}

const char *logs_words(const char *line)
{
	const char *name = line, *rest = strstr(line, ": ");

	/* What goes on with a space is another line of one message: journalctl(1) shows it so. */
	if (!rest || *line == ' ')
		return NULL;
	rest += 2;
	if (text_starts(rest, "pam_loginbox(")) {
		const char *words = strstr(rest, "): ");
		return words && is_all_words(words + 3) ? rest : NULL;
	}
	/* The last word before is the program's name. */
	for (const char *at = line; at < rest - 2; at++)
		if (*at == ' ')
			name = at + 1;
	if (!text_starts(name, "loginbox[") || !is_pid(name + strlen("loginbox")))
		return NULL;
	return has_pid(rest) || strstr(rest, ": pam_") ? NULL : rest;
}

static bool is_same(const struct logs_row *a, const struct logs_row *b)
{
	return strcmp(a->user, b->user) == 0 && strcmp(a->box, b->box) == 0 &&
		strcmp(a->rule, b->rule) == 0 && strcmp(a->result, b->result) == 0;
}

bool logs_summary_add(struct logs_summary *all, const char *line)
{
	struct logs_row row = { .count = 1 };
	const char *ours = logs_words(line);

	if (!ours || !take(ours, " user=", row.user, sizeof(row.user)) ||
		!take(ours, " result=", row.result, sizeof(row.result)) ||
		!take(ours, "box=", row.box, sizeof(row.box)) ||
		!take(ours, " rule=", row.rule, sizeof(row.rule)))
		return false;
	for (unsigned i = 0; i < all->n; i++)
		if (is_same(&all->rows[i], &row)) {
			all->rows[i].count++;
			return true;
		}
	struct logs_row *more = reallocarray(all->rows, all->n + 1, sizeof(*more));
	if (!more)
		return false;
	all->rows = more;
	all->rows[all->n++] = row;
	return true;
}

static int by_count(const void *a, const void *b)
{
	const struct logs_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->user, y->user);
}

void logs_summary_print(struct logs_summary *all)
{
	char user[24], box[24], rule[24];

	if (all->n)
		qsort(all->rows, all->n, sizeof(*all->rows), by_count);
	printf("%7s  %-16s  %-15s  %-15s  %s\n", "LOGINS", "USER", "BOX", "RULE", "RESULT");
	for (unsigned i = 0; i < all->n; i++) {
		const struct logs_row *r = &all->rows[i];
		printf("%7u  %-16s  %-15s  %-15s  %.16s\n", r->count,
			screen_fit(user, sizeof(user), r->user, 16),
			screen_fit(box, sizeof(box), r->box, 15),
			screen_fit(rule, sizeof(rule), r->rule, 15),
			strcmp(r->result, "monitored") == 0 ? "would get it" : r->result);
	}
	free(all->rows);
	*all = (struct logs_summary){ 0 };
}
