#include "lib/linux/account.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char words[700];

static void root_is_found_by_name_and_by_uid(void)
{
	struct account by_name = { 0 }, by_uid = { 0 };
	struct fail f = { 0 };

	CHECK_NUMBER(account_by_name(&by_name, "root", &f), 0);
	CHECK_NUMBER(account_by_uid(&by_uid, 0, &f), 0);
	CHECK_TEXT(by_name.name, "root");
	CHECK_NUMBER(by_name.uid, 0);
	CHECK_TEXT(by_uid.home, "/root");
	CHECK(by_name.n_groups >= 1);
	CHECK_TEXT(by_name.group_names[0], "root");
	account_free(&by_name);
	account_free(&by_uid);
	CHECK(by_name.name == NULL && by_name.n_groups == 0);
}

static void who_does_not_exist_is_unknown(void)
{
	struct account a = { 0 };
	struct fail f = { 0 };
	gid_t gid;

	CHECK_NUMBER(account_by_name(&a, "nobody-of-this-name", &f), -1);
	CHECK_NUMBER(f.kind, FAIL_UNKNOWN);
	f = (struct fail){ 0 };
	CHECK_NUMBER(account_by_uid(&a, 3999999999u, &f), -1);
	CHECK_NUMBER(f.kind, FAIL_UNKNOWN);
	CHECK_TEXT(fail_word(&f, words, sizeof(words)),
		"cannot look up user 'uid 3999999999': no such user");
	f = (struct fail){ 0 };
	CHECK_NUMBER(account_find_group("no-group-of-this-name", &gid, &f), -1);
	CHECK_NUMBER(f.kind, FAIL_UNKNOWN);
	f = (struct fail){ 0 };
	CHECK_NUMBER(account_by_name(&a, "", &f), -1);
	CHECK(f.kind == FAIL_UNKNOWN || f.kind == FAIL_SYSTEM);
}

/* ---- a host of our own for one look-up: a child in its own mount namespace ------------- */

struct scene {
	const char *passwd, *group, *nsswitch; /* NULL: the host's */
	bool no_descriptors;
};

static void put(const char *text, const char *over)
{
	char name[] = "/tmp/account.XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
		fchmod(fd, 0644) < 0 || mount(name, over, NULL, MS_BIND, NULL) < 0)
		_exit(99);
	close(fd);
}

static void set(const struct scene *scene)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
		_exit(99);
	if (scene->passwd)
		put(scene->passwd, "/etc/passwd");
	if (scene->group)
		put(scene->group, "/etc/group");
	if (scene->nsswitch)
		put(scene->nsswitch, "/etc/nsswitch.conf");
	if (scene->no_descriptors) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_NOFILE, &none);
	}
}

/* The kind of failure of the look-up, 50 + groups when it succeeds. */
static int look_up(const struct scene *scene, const char *name)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct account a = { 0 };
		struct fail f = { 0 };
		set(scene);
		int result = account_by_name(&a, name, &f);
		int code = result == 0 ? 50 + (int)a.n_groups : f.kind;
		account_free(&a);
		_exit(code);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool can_set(void)
{
	struct scene nothing = { 0 };

	if (geteuid() == 0 && look_up(&nothing, "root") != 99)
		return true;
	test_skip("needs root and a mount namespace");
	return false;
}

#define PASSWD "root:x:0:0:root:/root:/bin/sh\nalice:x:1004:1004::/home/alice:/bin/sh\n"
#define GROUP "root:x:0:\nalice:x:1004:\nstudents:x:2000:alice\n"
#define FILES "passwd: files\ngroup: files\n"

static void all_groups_are_found(void)
{
	struct scene scene = { PASSWD, GROUP, FILES, false };

	if (can_set())
		CHECK_NUMBER(look_up(&scene, "alice"), 52);
}

static void a_group_without_a_name_is_still_one(void)
{
	struct scene scene = { PASSWD, "root:x:0:\nstudents:x:2000:alice\n", FILES, false };

	if (can_set())
		CHECK_NUMBER(look_up(&scene, "alice"), 52);
}

static void an_empty_group_file_is_no_answer(void)
{
	struct scene scene = { PASSWD, "", FILES, false };

	if (can_set())
		CHECK_NUMBER(look_up(&scene, "alice"), FAIL_SYSTEM);
}

static void an_empty_group_file_is_no_answer_whoever_else_knows_root(void)
{
	struct scene scene = { PASSWD, "", NULL, false };

	if (can_set())
		CHECK_NUMBER(look_up(&scene, "alice"), FAIL_SYSTEM);
}

static void an_empty_passwd_file_is_no_answer(void)
{
	struct scene scene = { "", GROUP, FILES, false };

	if (can_set())
		CHECK_NUMBER(look_up(&scene, "alice"), FAIL_SYSTEM);
}

static void a_host_without_descriptors_knows_nothing(void)
{
	struct scene scene = { .no_descriptors = true };

	if (!can_set())
		return;
	CHECK_NUMBER(look_up(&scene, "root"), FAIL_SYSTEM);
	CHECK_NUMBER(look_up(&scene, "nobody-of-this-name"), FAIL_SYSTEM);
}

static void more_groups_than_the_first_guess_are_all_found(void)
{
	OWN_STR text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct scene scene = { PASSWD, NULL, FILES, false };

	fputs("root:x:0:\nalice:x:1004:\n", to);
	for (int i = 0; i < 150; i++)
		fprintf(to, "g%d:x:%d:alice\n", i, 3000 + i);
	fclose(to);
	scene.group = text;
	if (can_set())
		CHECK_NUMBER(look_up(&scene, "alice"), 50 + 151);
}

int main(void)
{
	RUN(root_is_found_by_name_and_by_uid);
	RUN(who_does_not_exist_is_unknown);
	RUN(all_groups_are_found);
	RUN(a_group_without_a_name_is_still_one);
	RUN(an_empty_group_file_is_no_answer);
	RUN(an_empty_group_file_is_no_answer_whoever_else_knows_root);
	RUN(an_empty_passwd_file_is_no_answer);
	RUN(a_host_without_descriptors_knows_nothing);
	RUN(more_groups_than_the_first_guess_are_all_found);
	return test_end();
}
