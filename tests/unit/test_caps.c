#include "lib/linux/caps.h"
#include "tests/unit/nosys.h"
#include "tests/unit/test.h"

#include <linux/capability.h>
#include <sys/wait.h>

static int in_child(int (*what)(void))
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(what());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool in_bound(int cap)
{
	return prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
}

static int bound_to_two(void)
{
	struct fail f = { 0 };

	if (caps_bound(1ull << CAP_CHOWN | 1ull << CAP_KILL, &f) < 0)
		return 1;
	for (int cap = 0; cap < 64; cap++)
		if (in_bound(cap) != (cap == CAP_CHOWN || cap == CAP_KILL))
			return 2;
	/* Again, and more than there is: what is gone does not come back. */
	return caps_bound(~0ull, &f) < 0 || in_bound(CAP_SYS_ADMIN) ? 3 : 0;
}

static void the_bounding_set_keeps_what_was_asked(void)
{
	CHECK_NUMBER(in_child(bound_to_two), 0);
}

static int inheritable_too(void)
{
	struct fail f = { 0 };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct held[2];

	syscall(SYS_capget, &head, held);
	held[0].inheritable = held[0].permitted;
	held[1].inheritable = held[1].permitted;
	if (syscall(SYS_capset, &head, held) < 0 || caps_bound(1ull << CAP_KILL, &f) < 0)
		return 1;
	syscall(SYS_capget, &head, held);
	if (held[0].inheritable != 1u << CAP_KILL || held[1].inheritable)
		return 2;
	return !held[0].effective;
}

static void the_inheritable_set_is_narrowed_as_well(void)
{
	CHECK_NUMBER(in_child(inheritable_too), 0);
}

static int bound_without_the_right(void)
{
	struct fail f = { 0 };

	if (caps_clear(&f) < 0)
		return 1;
	return caps_bound(0, &f) < 0 && f.err == EPERM ? 0 : 2;
}

static void a_set_that_cannot_be_dropped_is_a_failure(void)
{
	CHECK_NUMBER(in_child(bound_without_the_right), 0);
}

static int all_answers_wrong(void)
{
	struct fail f = { 0 };

	nosys(SYS_prctl, EINVAL);
	/* EINVAL means "no such capability", but not for the first one. */
	return caps_bound(0, &f) < 0 ? 0 : 1;
}

static void an_old_kernels_answer_is_not_taken_for_an_empty_set(void)
{
	CHECK_NUMBER(in_child(all_answers_wrong), 0);
}

static int clear(void)
{
	struct fail f = { 0 };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct seen[2];

	if (caps_clear(&f) < 0 || syscall(SYS_capget, &head, seen) < 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if (seen[i].effective || seen[i].permitted || seen[i].inheritable)
			return 2;
	return 0;
}

static void no_capability_is_left(void)
{
	CHECK_NUMBER(in_child(clear), 0);
}

static int no_new_privs(void)
{
	struct fail f = { 0 };
	return caps_no_new_privs(&f) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static int no_new_privs_denied(void)
{
	struct fail f = { 0 };

	nosys(SYS_prctl, EPERM);
	return caps_no_new_privs(&f) == 0;
}

static void no_new_privs_is_set_and_read_back(void)
{
	CHECK_NUMBER(in_child(no_new_privs), 0);
	CHECK_NUMBER(in_child(no_new_privs_denied), 0);
}

static bool says(int err, const char *rule)
{
	struct fail f = { 0 };

	fail_err(&f, err, "make device", "/dev/null");
	caps_add_lacking(&f);
	caps_add_lacking(&f); /* by the next who words it */
	return strcmp(f.rule, rule) == 0;
}

static int without_two(void)
{
	struct fail f = { 0 };
	const uint64_t lost = CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_MKNOD) | CAPS_BIT(CAP_SYS_TIME);
	char names[CAPS_NAMES_MAX];

	if (!says(EPERM, ""))
		return 1;
	if (caps_set(caps_permitted() & ~lost, &f) < 0 || (caps_permitted() & lost))
		return 2;
	/* No box takes the third. */
	if (strcmp(caps_names(lost, names, sizeof(names)), "CAP_CHOWN, CAP_MKNOD") != 0)
		return 3;
	if (!says(EPERM, "this process lacks CAP_CHOWN, CAP_MKNOD") ||
		!says(EACCES, "this process lacks CAP_CHOWN, CAP_MKNOD"))
		return 4;
	return says(ENOENT, "") ? 0 : 5;
}

static int cannot_tell(void)
{
	nosys(SYS_capget, EPERM);
	return !says(EPERM, "");
}

static void what_a_process_lacks_is_named_where_rights_are_wanted(void)
{
	char all[512];

	CHECK_NUMBER(in_child(without_two), 0);
	CHECK_NUMBER(in_child(cannot_tell), 0);
	/* The list fits what fail.h has for it. */
	CHECK(strlen(caps_names(UINT64_MAX, all, sizeof(all))) < CAPS_NAMES_MAX);
}

int main(void)
{
	RUN(the_bounding_set_keeps_what_was_asked);
	RUN(the_inheritable_set_is_narrowed_as_well);
	RUN(a_set_that_cannot_be_dropped_is_a_failure);
	RUN(an_old_kernels_answer_is_not_taken_for_an_empty_set);
	RUN(no_capability_is_left);
	RUN(no_new_privs_is_set_and_read_back);
	RUN(what_a_process_lacks_is_named_where_rights_are_wanted);
	return test_end();
}
