/*
 * loginbox list and loginbox status: what lives, as its keeper tells it.
 */
#include "helper/admin/admin.h"
#include "helper/admin/boxes.h"
#include "helper/admin/screen.h"
#include "helper/admin/written.h"
#include "helper/policy/plan.h"
#include "helper/policy/policy.h"
#include "lib/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static bool is_other(const struct wire_state *b)
{
	return b->head.version != WIRE_VERSION;
}

static void print_text(const char *name, const char *s, bool last)
{
	printf("\"%s\": ", name);
	boxes_json_text(stdout, s);
	if (!last)
		printf(", ");
}

static void print_json(const struct wire_state *box, const char *policy)
{
	printf("{");
	print_text("id", box->id, false);
	print_text("user", box->user, false);
	printf("\"uid\": %u, ", box->uid);
	print_text("box", box->box, false);
	print_text("rule", box->rule, false);
	print_text("plan", box->hash, false);
	if (policy)
		print_text("policy", policy, false);
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

static void print_all_json(const struct boxes *boxes, const char *(*now)(const struct wire_state *))
{
	printf("[");
	for (size_t i = 0; i < boxes->n; i++) {
		printf("%s\n ", i ? "," : "");
		print_json(&boxes->at[i], now ? now(&boxes->at[i]) : NULL);
	}
	printf("%s]\n", boxes->n ? "\n" : "");
}

static void print_table(const struct boxes *boxes)
{
	char old[24], user[24], box[24];
	size_t others = 0;

	if (!boxes->n) {
		printf("no box lives\n");
		return;
	}
	printf("%-8s  %-16s  %-14s  %8s  %5s  %8s\n", "ID", "USER", "BOX", "SESSIONS", "AGE", "INIT");
	for (size_t i = 0; i < boxes->n; i++) {
		const struct wire_state *b = &boxes->at[i];
		printf("%-8s  %-16s  %-14s  %8u  %5s  %8u%s\n", b->id,
			screen_fit(user, sizeof(user), b->user, 16),
			screen_fit(box, sizeof(box), b->box, 14),
			b->n_sessions, age(old, sizeof(old), b->age_s), b->init_pid,
			is_other(b) ? "  *" : "");
		others += is_other(b);
	}
	if (others)
		printf("*: made before an upgrade; no login joins it\n");
}

/*
 * What a login like the box's first session would get now. The caller of su or sudo is not
 * known any more and counts as root.
 */
static const char *policy_now(const struct wire_state *b)
{
	struct fail f = { 0 };
	struct request r = { .door = DOOR_PAM,
		.service = b->n_sessions ? b->sessions[0].service : "login",
		.rhost = b->n_sessions ? b->sessions[0].rhost : "",
		.tty = b->n_sessions ? b->sessions[0].tty : "",
		.ruser = "root" };
	struct policy *policy = NULL;
	struct plan plan;
	const char *answer = "unknown";

	if (geteuid() != 0 || boxes_inside() || is_other(b) || !b->user[0])
		return answer;
	if (strcmp(r.service, "loginbox-shell") == 0)
		r.door = DOOR_SHELL;
	if (account_by_name(&r.account, b->user, &f) < 0)
		return answer;
	/* One that is not valid refuses everybody. */
	if (policy_load(&policy, NULL, &f) < 0)
		answer = "refuses";
	else if (plan_make(&plan, policy, &r, &f) == 0) {
		answer = plan.verdict == VERDICT_BOX && strcmp(plan.hash, b->hash) == 0 ? "same"
			: plan.verdict == VERDICT_BOX                                ? "changed"
			: plan.verdict == VERDICT_DENY                               ? "refuses"
										     : "no box";
		plan_free(&plan);
	}
	policy_free(policy);
	account_free(&r.account);
	return answer;
}

static void print_policy(const char *answer)
{
	if (strcmp(answer, "changed") == 0)
		printf("policy    changed since: a new login gets another box\n");
	else if (strcmp(answer, "no box") == 0)
		printf("policy    changed since: a new login gets no box\n");
	else if (strcmp(answer, "refuses") == 0)
		printf("policy    changed since: a new login is refused (see loginbox check)\n");
	else if (strcmp(answer, "same") == 0)
		printf("policy    as when the box was made: a new login joins where it is shared\n");
}

static void print_one(const struct wire_state *b)
{
	char old[24];

	printf("box       %s (%s) of %s, uid %u\n", b->id, b->box, b->user, b->uid);
	printf("rule      %s\n", b->rule);
	print_policy(policy_now(b));
	if (is_other(b))
		printf("version   another: it was made before an upgrade, and no login joins it\n");
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

int admin_list(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct fail f = FAIL_BY("");
	struct boxes boxes;
	bool json = boxes_take_flag(&argc, argv, "--json");
	int code = admin_read(verb, argc, argv, none, NULL, 0);

	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, NULL, &f) < 0)
		return admin_fail(&f);
	json ? print_all_json(&boxes, NULL) : print_table(&boxes);
	boxes_free(&boxes);
	return admin_finish(EXIT_DONE);
}

int admin_status(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct fail f = FAIL_BY("");
	struct boxes boxes;
	const char *which = NULL;
	bool json = boxes_take_flag(&argc, argv, "--json");
	int code = admin_read(verb, argc, argv, none, &which, argc > 1 ? 1 : 0);

	if (code != EXIT_DONE)
		return code;
	if (boxes_find(&boxes, which, &f) < 0)
		return admin_fail(&f);
	for (size_t i = 0; i < boxes.n; i++) {
		screen_busy("counting what box %s wrote ...", boxes.at[i].id);
		written_count(&boxes.at[i]);
	}
	screen_ready();
	if (json)
		print_all_json(&boxes, policy_now);
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
