/*
 * Golden plans: tests/plan/NAME.login says who logs in, NAME.conf is the policy, NAME.plan
 * what is decided. UPDATE=1 writes the last ones anew.
 */
#include "helper/policy/plan.h"
#include "lib/base/text.h"
#include "tests/unit/policy_help.h"

#include <glob.h>
#include <limits.h>
#include <sys/stat.h>

static char words[700];

#define GROUPS 8

struct login {
	struct request request;
	gid_t groups[GROUPS];
	char *names[GROUPS];
	char text[2000]; /* what the strings point into */
};

static void login_groups(struct login *l, char *list)
{
	struct account *a = &l->request.account;

	for (char *word = strtok(list, ","); word && a->n_groups < GROUPS;
		word = strtok(NULL, ",")) {
		l->names[a->n_groups] = word;
		l->groups[a->n_groups] = (gid_t)(1000 + a->n_groups);
		a->n_groups++;
	}
}

static void login_line(struct login *l, char *line)
{
	struct request *r = &l->request;
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	if (strcmp(line, "user") == 0)
		r->account.name = value;
	else if (strcmp(line, "uid") == 0)
		r->account.uid = (uid_t)atoi(value);
	else if (strcmp(line, "home") == 0)
		r->account.home = value;
	else if (strcmp(line, "shell") == 0)
		r->account.shell = value;
	else if (strcmp(line, "groups") == 0)
		login_groups(l, value);
	else if (strcmp(line, "service") == 0)
		r->service = value;
	else if (strcmp(line, "rhost") == 0)
		r->rhost = value;
	else if (strcmp(line, "ruser") == 0)
		r->ruser = value;
	else if (strcmp(line, "door") == 0)
		r->door = strcmp(value, "shell") == 0 ? DOOR_SHELL : DOOR_PAM;
	else
		test_fail(__FILE__, __LINE__, "unknown word %s in a login", line);
}

static void login_read(struct login *l, const char *text)
{
	char *rest = l->text;

	*l = (struct login){
		.request = { .account = { .name = "alice", .uid = 1004, .gid = 1000,
				     .home = "/home/alice", .shell = "/bin/sh" },
			.service = "sshd", .rhost = "", .ruser = "root", .tty = "" },
	};
	l->request.account.groups = l->groups;
	l->request.account.group_names = l->names;
	snprintf(l->text, sizeof(l->text), "%s", text);
	while (rest && *rest)
		login_line(l, strsep(&rest, "\n"));
}

/* ---- what a plan says, whatever host it is made on ------------------------------------- */

static const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = { "ignore", "deny", "monitor", "box" };
	return names[verdict];
}

/* The gids of tty and utmp are the host's: shown by name. */
static void name_gids(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		struct step *s = &plan->steps[i];
		gid_t gid;
		struct fail f = { 0 };
		const char *name = s->op == STEP_DEVPTS ? "tty" : "utmp";
		gid_t otherwise = s->op == STEP_DEVPTS ? 5 : 0;
		if (s->op != STEP_DEVPTS && s->op != STEP_FILE)
			continue;
		if (account_find_group(name, &gid, &f) < 0)
			gid = otherwise;
		CHECK_NUMBER(s->gid, gid);
		s->gid = s->op == STEP_DEVPTS ? 5 : 43;
	}
}

static void print_all(struct plan *plan, FILE *to)
{
	fprintf(to, "verdict=%s why=%s\nrule=%s@%s mode=%d\n", verdict_name(plan->verdict),
		plan->why, plan->rule, plan->rule_at, plan->mode);
	if (!*plan->box)
		return;
	fprintf(to, "box=%s share_user=%d namespaces=%#x\n", plan->box, plan->share_user,
		plan->namespaces);
	fprintf(to, "hostname=%s domainname=%s loopback=%d log_socket=%d\n", plan->hostname,
		plan->domainname, plan->loopback, plan->log_socket);
	for (size_t i = 0; i < PLAN_LIMITS; i++)
		if (plan->limits[i].set)
			fprintf(to, "limit %zu=%lld:%lld\n", i, (long long)plan->limits[i].soft,
				(long long)plan->limits[i].hard);
	fprintf(to, "capabilities=%#llx no_new_privs=%d\n", (unsigned long long)plan->capabilities,
		plan->no_new_privs);
	fprintf(to, "home=%s workdir=%s shell=%s\n", plan->home, plan->workdir, plan->shell);
	name_gids(plan);
	plan_print(plan, to);
}

/* Moved into one piece of memory a plan says what it said before. */
static void check_packed(struct plan *plan, const char *said)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	plan_pack(plan);
	CHECK(plan->packed == (plan->n_steps > 0));
	print_all(plan, to);
	fclose(to);
	CHECK_TEXT(text, said);
	free(text);
}

/* The box's /etc/hosts is made of this machine's, whatever size that has: "of N bytes". */
static void hide_size(char *text)
{
	static const char before[] = "/etc/hosts of ";
	char *number = strstr(text, before);

	if (!number)
		return;
	number += sizeof(before) - 1;
	size_t digits = strspn(number, "0123456789");
	CHECK(digits > 0);
	if (digits > 0) {
		*number = 'N';
		memmove(number + 1, number + digits, strlen(number + digits) + 1);
	}
}

/* The plan of a policy and a login as text, or the message of the failure. */
static char *plan_text(const struct policy *policy, const struct login *login)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct plan plan = { 0 };
	struct fail f = { 0 };

	if (plan_make(&plan, policy, &login->request, &f) < 0)
		fprintf(to, "%s\n", fail_word(&f, words, sizeof(words)));
	else
		print_all(&plan, to);
	fclose(to);
	if (plan.steps)
		check_packed(&plan, text);
	plan_free(&plan);
	hide_size(text);
	return text;
}

static char *read_text(const char *path)
{
	char *text = calloc(1, 1 << 16);
	OWN_FILE file = fopen(path, "re");

	if (file && text)
		(void)!fread(text, 1, (1 << 16) - 1, file);
	return text;
}

/* The first line in which the two differ. */
static void compare(const char *name, const char *is, const char *wanted)
{
	while (*is && *is == *wanted)
		is++, wanted++;
	if (*is || *wanted)
		test_fail(__FILE__, __LINE__, "%s: has '%.*s' instead of '%.*s'", name,
			(int)strcspn(is, "\n"), is, (int)strcspn(wanted, "\n"), wanted);
}

static void check_golden(const char *conf)
{
	char stem[PATH_MAX], path[PATH_MAX + 8];
	struct login login;
	OWN_FD fd = open(conf, O_RDONLY | O_CLOEXEC);
	struct policy *policy = policy_of_fd(fd, words, sizeof(words));

	if (!policy) {
		test_fail(__FILE__, __LINE__, "%s: %s", conf, words);
		return;
	}
	snprintf(stem, sizeof(stem), "%.*s", (int)strlen(conf) - 5, conf);
	snprintf(path, sizeof(path), "%s.login", stem);
	OWN_STR login_text = read_text(path);
	login_read(&login, login_text);
	OWN_STR is = plan_text(policy, &login);
	snprintf(path, sizeof(path), "%s.plan", stem);
	if (getenv("UPDATE")) {
		OWN_FILE file = fopen(path, "we");
		fputs(is, file);
	} else {
		OWN_STR wanted = read_text(path);
		compare(conf, is, wanted);
	}
	policy_free(policy);
}

static void every_login_gets_its_golden_plan(void)
{
	glob_t found = { 0 };

	glob("tests/plan/*.conf", 0, NULL, &found);
	CHECK(found.gl_pathc > 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_golden(found.gl_pathv[i]);
	globfree(&found);
}

/* ---- homes: on directories of our own --------------------------------------------------- */

static char top[PATH_MAX]; /* where this test's directories are */

static void make_dir(const char *name)
{
	char path[PATH_MAX + 256];
	snprintf(path, sizeof(path), "%s/%s", top, name);
	CHECK(mkdir(path, 0755) == 0);
}

static void make_link(const char *to, const char *name)
{
	char path[PATH_MAX + 256], target[PATH_MAX + 256];
	snprintf(path, sizeof(path), "%s/%s", top, name);
	snprintf(target, sizeof(target), "%s/%s", top, to);
	CHECK(symlink(target, path) == 0);
}

/* In a tree that only root can write to, as /home is. */
static bool begin_homes(void)
{
	char here[PATH_MAX - 64];

	if (geteuid() != 0) {
		test_skip("needs root: links are followed in root's directories only");
		return false;
	}
	if (!getcwd(here, sizeof(here)))
		return false;
	snprintf(top, sizeof(top), "%s/homes.XXXXXX", here);
	if (!mkdtemp(top) || chmod(top, 0755) < 0) {
		test_fail(__FILE__, __LINE__, "cannot make %s", top);
		return false;
	}
	return true;
}

static void end_homes(void)
{
	char command[PATH_MAX + 32];
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	CHECK(system(command) == 0);
}

/* The cover and home steps, with `top` written as T. */
static char *homes_text(const char *keys, const char *home)
{
	char text[PATH_MAX * 2], full[PATH_MAX + 256];
	struct login login;
	struct plan plan = { 0 };
	struct fail f = { 0 };
	char *out = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&out, &size);

	snprintf(text, sizeof(text),
		"[box a]\nhostname = h\n%s\n[rule r]\nbox = a\n", keys);
	for (char *t = strstr(text, "T/"); t; t = strstr(t + strlen(top), "T/")) {
		memmove(t + strlen(top), t + 1, strlen(t + 1) + 1);
		memcpy(t, top, strlen(top));
	}
	struct policy *policy = policy_of_text(text);
	login_read(&login, "");
	snprintf(full, sizeof(full), "%s/%s", top, home);
	login.request.account.home = full;
	if (policy && plan_make(&plan, policy, &login.request, &f) == 0) {
		for (size_t i = 0; i < plan.n_steps; i++) {
			const struct step *s = &plan.steps[i];
			size_t n = strlen(top);
			if (s->op != STEP_COVER && s->op != STEP_HOME)
				continue;
			fprintf(to, "%s %s%s%s ", s->op == STEP_COVER ? "cover" : "home",
				s->target + (text_starts(s->target, top) ? n : 0),
				*s->source ? "<" : "", *s->source ? s->source + n : "");
		}
	} else {
		fputs(fail_word(&f, words, sizeof(words)), to);
	}
	plan_free(&plan);
	policy_free(policy);
	fclose(to);
	return out;
}

#define HOMES(keys, home, wanted) \
	do { \
		OWN_STR is_homes = homes_text(keys, home); \
		CHECK_TEXT(is_homes, wanted); \
	} while (0)

static void one_sees_ones_own_home_only(void)
{
	if (!begin_homes())
		return;
	make_dir("h");
	make_dir("h/alice");
	make_dir("h/deep");
	make_dir("h/deep/alice");
	make_dir("other");
	make_dir("other/alice");
	make_dir("tenant");
	make_dir("tenant/real");
	make_link("h", "hlink");
	make_link("other/alice", "h/linked");
	make_link("tenant/real", "tenant/mine");

	HOMES("homes_in = T/h", "h/alice", "cover /h</h/alice home /h/alice</h/alice ");
	HOMES("homes_in = T/h", "h/deep/alice",
		"cover /h</h/deep/alice home /h/deep/alice</h/deep/alice ");
	HOMES("homes_in = T/h, T/h/deep", "h/alice", "cover /h</h/alice home /h/alice</h/alice ");
	HOMES("homes_in = T/h/deep, T/h", "h/alice", "cover /h</h/alice home /h/alice</h/alice ");
	HOMES("homes_in = T/h", "other/alice",
		"cover /h cover /other</other/alice home /other/alice</other/alice ");
	HOMES("homes_in = T/gone", "h/alice", "cover /h</h/alice home /h/alice</h/alice ");
	HOMES("homes_in = T/h", "h/nobody", "cover /h ");
	HOMES("homes_in = T/hlink", "hlink/alice", "cover /h</h/alice home /h/alice</h/alice ");
	HOMES("homes_in = T/h", "h/linked",
		"cover /h</h/linked cover /other</other/alice home /h/linked</other/alice "
		"home /other/alice</other/alice ");
	HOMES("homes_in = T/h\nhomes = none", "h/alice", "cover /h ");
	HOMES("homes_in = T/h\nhomes = all", "h/alice", "");
	HOMES("homes_in = T/h/deep", "h", "cover </h home /h</h ");
	HOMES("homes_in = T/h", "h//alice//", "cover /h</h/alice home /h/alice</h/alice ");

	/* A link in a directory that is not root's leads nowhere. */
	char path[PATH_MAX + 256], wanted[PATH_MAX + 256];
	snprintf(path, sizeof(path), "%s/tenant", top);
	CHECK(chown(path, 1004, 1004) == 0);
	snprintf(wanted, sizeof(wanted),
		"cannot find directory '%s/tenant/mine': Too many levels of symbolic links", top);
	HOMES("homes_in = T/h", "tenant/mine", wanted);
	HOMES("homes_in = T/h", "tenant/real",
		"cover /h cover /tenant</tenant/real home /tenant/real</tenant/real ");
	end_homes();
}

static void system_directories_are_never_covered(void)
{
	static char *const homes[] = { "/", "/root", "/bin", "/usr/sbin", "/var/lib", "/var/mail",
		"/usr/share/doc", "/run/sshd", "/var", "/nonexistent", "/proc", "/dev/shm", "/etc",
		"relative", "", "/home/../etc" };
	struct policy *policy = policy_of_text("[box a]\nhomes_in = none\nhostname = h\n"
					       "[rule r]\nbox = a\n");
	struct login login;

	for (size_t i = 0; policy && i < sizeof(homes) / sizeof(homes[0]); i++) {
		struct plan plan = { 0 };
		struct fail f = { 0 };
		login_read(&login, "");
		login.request.account.home = homes[i];
		CHECK_NUMBER(plan_make(&plan, policy, &login.request, &f), 0);
		for (size_t k = 0; k < plan.n_steps; k++)
			if (plan.steps[k].op == STEP_COVER && strcmp(homes[i], "/usr/share/doc"))
				test_fail(__FILE__, __LINE__, "home %s covers %s", homes[i],
					plan.steps[k].target);
		plan_free(&plan);
	}
	policy_free(policy);
}

/* ---- hash ------------------------------------------------------------------------------- */

static void hash_of(const char *keys, const char *login_text, char out[33])
{
	char text[800];
	struct login login;
	struct plan plan = { 0 };
	struct fail f = { 0 };

	snprintf(text, sizeof(text), "[box a]\nhostname = h\n%s\n[rule r]\nbox = a\n", keys);
	struct policy *policy = policy_of_text(text);
	login_read(&login, login_text);
	CHECK(policy && plan_make(&plan, policy, &login.request, &f) == 0);
	snprintf(out, 33, "%s", plan.hash);
	plan_free(&plan);
	policy_free(policy);
}

static void what_makes_the_box_changes_the_hash_and_nothing_else_does(void)
{
	static const char *const same[] = { "description = other words", "workdir = %h",
		"capabilities = none", "tmp = private" };
	static const char *const other[] = { "nofile = 65", "nofile = 65:66", "capabilities = chown",
		"tmp = host", "read_only = /usr", "read_only = none", "tmp_size = 1M",
		"tmp_size = 2M", "share = session", "ipc = host", "network = none",
		"homes = all", "workdir = /srv", "log_socket = no", "domainname = x",
		"nproc = 50", "seccomp = none", "user_namespaces = yes", "no_new_privs = no", "core = 1", "shm_size = 1M" };
	char hashes[32][33], base[33], hash[33];
	size_t n = sizeof(other) / sizeof(other[0]);

	hash_of("", "", base);
	CHECK_NUMBER(strlen(base), 32);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		hash_of(same[i], "service=login\nrhost=10.0.0.9", hash);
		if (strcmp(hash, base) != 0)
			test_fail(__FILE__, __LINE__, "%s changes the hash", same[i]);
	}
	for (size_t i = 0; i < n; i++) {
		hash_of(other[i], "", hashes[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(hashes[i], hashes[k]) == 0)
				test_fail(__FILE__, __LINE__, "%s is as %s", other[i], other[k]);
		if (strcmp(hashes[i], base) == 0)
			test_fail(__FILE__, __LINE__, "%s does not change the hash", other[i]);
	}
	hash_of("", "uid=1005", hash);
	CHECK(strcmp(hash, base) != 0);
}

/* ---- shells ------------------------------------------------------------------------------ */

static void the_shell_door_runs_a_listed_shell_or_nothing(void)
{
	static const struct {
		const char *shell, *wanted;
	} shells[] = {
		{ "/bin/sh", "/bin/sh" },
		{ "", "/bin/sh" },
		{ LOGINBOX_HELPER, NULL }, /* bash or sh */
		{ "sh", "cannot run the shell 'sh': it is no absolute path" },
		{ "/bin/none", "cannot run the shell '/bin/none': it cannot be executed" },
		{ "/etc/passwd", "cannot run the shell '/etc/passwd': it cannot be executed" },
		{ "/bin/true", "cannot run the shell '/bin/true': it is not in /etc/shells" },
	};
	struct policy *policy = policy_of_text("[rule r]\nbox = base\n");

	for (size_t i = 0; policy && i < sizeof(shells) / sizeof(shells[0]); i++) {
		struct login login;
		struct plan plan = { 0 };
		struct fail f = { 0 };
		login_read(&login, "door=shell");
		login.request.account.shell = (char *)shells[i].shell;
		int result = plan_make(&plan, policy, &login.request, &f);
		if (!shells[i].wanted)
			CHECK(result == 0 && (strcmp(plan.shell, "/bin/bash") == 0 ||
						     strcmp(plan.shell, "/bin/sh") == 0));
		else
			CHECK_TEXT(result == 0 ? plan.shell : fail_word(&f, words, sizeof(words)),
				shells[i].wanted);
		plan_free(&plan);

		/* Through PAM the application judges. */
		login.request.door = DOOR_PAM;
		f = (struct fail){ 0 };
		CHECK_NUMBER(plan_make(&plan, policy, &login.request, &f), 0);
		CHECK(plan.verdict == VERDICT_BOX && plan.shell);
		plan_free(&plan);
	}
	policy_free(policy);
}

int main(void)
{
	RUN(every_login_gets_its_golden_plan);
	RUN(one_sees_ones_own_home_only);
	RUN(system_directories_are_never_covered);
	RUN(what_makes_the_box_changes_the_hash_and_nothing_else_does);
	RUN(the_shell_door_runs_a_listed_shell_or_nothing);
	return test_end();
}
