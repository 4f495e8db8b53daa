/*
 * loginbox list and loginbox status: what lives, as its keeper tells it.
 */
#include "helper/admin/admin.h"
#include "helper/admin/boxes.h"
#include "lib/base/text.h"

#include <stdlib.h>
#include <string.h>

/* 45s, 12m, 7h, 30d */
static const char *age(char *out, size_t size, uint64_t seconds)
{
	unsigned long long s = seconds;

	if (s < 120)
		snprintf(out, size, "%llus", s);
	else if (s < 7200)
		snprintf(out, size, "%llum", s / 60);
	else if (s < 172800)
		snprintf(out, size, "%lluh", s / 3600);
	else
		snprintf(out, size, "%llud", s / 86400);
	return out;
}

static void print_text(const char *name, const char *s, bool last)
{
	printf("\"%s\": ", name);
	boxes_json_text(stdout, s);
	if (!last)
		printf(", ");
}

static void print_json(const struct wire_state *box)
{
	printf("{");
	print_text("id", box->id, false);
	print_text("user", box->user, false);
	printf("\"uid\": %u, ", box->uid);
	print_text("box", box->box, false);
	print_text("rule", box->rule, false);
	print_text("plan", box->hash, false);
	printf("\"init_pid\": %u, \"age_s\": %llu, \"n_sessions\": %u, \"sessions\": [", box->init_pid,
		(unsigned long long)box->age_s, box->n_sessions);
	for (uint32_t i = 0; i < box->n_sessions && i < WIRE_STATE_SESSIONS; i++) {
		const struct wire_session *s = &box->sessions[i];
		printf("%s{\"pid\": %u, \"age_s\": %u, ", i ? ", " : "", s->pid, s->age_s);
		print_text("service", s->service, false);
		print_text("tty", s->tty, false);
		print_text("rhost", s->rhost, true);
		printf("}");
	}
	printf("], ");
	print_text("more", box->more, true);
	printf("}");
}

static void print_all_json(const struct boxes *boxes)
{
	printf("[");
	for (size_t i = 0; i < boxes->n; i++) {
		printf("%s\n ", i ? "," : "");
		print_json(&boxes->at[i]);
	}
	printf("%s]\n", boxes->n ? "\n" : "");
}

static void print_table(const struct boxes *boxes)
{
	char old[24];

	if (!boxes->n) {
		printf("no box lives\n");
		return;
	}
	printf("%-8s  %-16s  %-14s  %8s  %5s  %8s\n", "ID", "USER", "BOX", "SESSIONS", "AGE", "INIT");
	for (size_t i = 0; i < boxes->n; i++) {
		const struct wire_state *b = &boxes->at[i];
		printf("%-8s  %-16s  %-14s  %8u  %5s  %8u\n", b->id, b->user, b->box, b->n_sessions,
			age(old, sizeof(old), b->age_s), b->init_pid);
	}
}

static void print_one(const struct wire_state *b)
{
	char old[24];

	printf("box       %s (%s) of %s, uid %u\n", b->id, b->box, b->user, b->uid);
	printf("rule      %s\n", b->rule);
	printf("age       %s\n", age(old, sizeof(old), b->age_s));
	printf("init      %u\n", b->init_pid);
	printf("sessions  %u\n", b->n_sessions);
	for (uint32_t i = 0; i < b->n_sessions && i < WIRE_STATE_SESSIONS; i++) {
		const struct wire_session *s = &b->sessions[i];
		printf("          %s, process %u, since %s%s%s%s%s\n", s->service, s->pid,
			age(old, sizeof(old), s->age_s), *s->tty ? ", tty " : "", s->tty,
			*s->rhost ? ", from " : "", s->rhost);
	}
	fputs(b->more, stdout);
}

/* Takes `--json` out of the words, wherever it stands. */
static bool take_json(int *argc, char **argv)
{
	bool json = false;
	int n = 0;

	for (int i = 0; i < *argc; i++) {
		if (i && strcmp(argv[i], "--json") == 0)
			json = true;
		else
			argv[n++] = argv[i];
	}
	*argc = n;
	return json;
}

int admin_list(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct fail f = FAIL_BY("");
	struct boxes boxes;
	bool json = take_json(&argc, argv);
	int code = admin_read(verb, argc, argv, none, NULL, 0);

	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, NULL, &f) < 0)
		return admin_fail(&f);
	json ? print_all_json(&boxes) : print_table(&boxes);
	boxes_free(&boxes);
	return admin_finish(EXIT_DONE);
}

int admin_status(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct fail f = FAIL_BY("");
	struct boxes boxes;
	const char *which = NULL;
	bool json = take_json(&argc, argv);
	int code = admin_read(verb, argc, argv, none, &which, argc > 1 ? 1 : 0);

	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, which, &f) < 0)
		return admin_fail(&f);
	if (json)
		print_all_json(&boxes);
	else if (!boxes.n)
		printf("no box lives\n");
	for (size_t i = 0; !json && i < boxes.n; i++) {
		if (i)
			printf("\n");
		print_one(&boxes.at[i]);
	}
	boxes_free(&boxes);
	return admin_finish(EXIT_DONE);
}
