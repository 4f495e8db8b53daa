#include "helper/state/place.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define STATE LOGINBOX_RUN
#define USER 61001

static struct place place = { .dir = -1 };

/* An empty /run, without the state directory. */
static void fresh(void)
{
	place_close(&place);
	while (umount2("/run", MNT_DETACH) == 0 && access(STATE, F_OK) == 0)
		;
	if (!private_over("/run"))
		abort();
	umask(077);
}

static void open_place(void)
{
	struct fail f = { 0 };
	fresh();
	CHECK_NUMBER(place_open(&place, &f), 0);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static void what_is_missing_is_made_for_root_alone(void)
{
	static const mode_t umasks[] = { 0, 022, 077, 0777 };

	for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
		struct fail f = { 0 };
		fresh();
		umask(umasks[i]);
		/* A mask that takes even the owner's rights is refused, not repaired. */
		int result = place_open(&place, &f);
		umask(077);
		if (umasks[i] == 0777) {
			CHECK_NUMBER(result, -1);
			continue;
		}
		CHECK_NUMBER(result, 0);
		CHECK_NUMBER(mode_of(STATE), S_IFDIR | 0700);
		CHECK_NUMBER(mode_of(STATE "/boxes"), S_IFDIR | 0700);
		CHECK_NUMBER(mode_of(STATE "/lock"), S_IFDIR | 0700);
	}
}

static bool refused(void)
{
	struct fail f = { 0 };
	struct place bad = { .dir = -1 };
	bool is = place_open(&bad, &f) < 0 && fail_is_set(&f);
	place_close(&bad);
	return is;
}

static void a_directory_of_somebody_elses_is_refused(void)
{
	fresh();
	CHECK(mkdir(STATE, 0700) == 0 && chown(STATE, USER, 0) == 0);
	CHECK(refused());
	CHECK(chown(STATE, 0, 0) == 0 && chmod(STATE, 0750) == 0);
	CHECK(refused());
	CHECK(chmod(STATE, 01700) == 0);
	CHECK(refused());
	CHECK(chmod(STATE, 02700) == 0);
	CHECK(refused());
	CHECK(chmod(STATE, 0700) == 0 && !refused());
	CHECK(chown(STATE "/boxes", USER, 0) == 0 && refused());
}

static void what_is_no_directory_is_refused(void)
{
	fresh();
	CHECK(symlink("/tmp", STATE) == 0 && refused() && unlink(STATE) == 0);
	CHECK(mkfifo(STATE, 0700) == 0 && refused() && unlink(STATE) == 0);
	close(open(STATE, O_CREAT | O_WRONLY, 0700));
	CHECK(refused() && unlink(STATE) == 0);
	CHECK(mkdir(STATE, 0700) == 0 && symlink("/tmp", STATE "/lock") == 0);
	CHECK(refused());
}

static void a_box_has_a_directory_of_its_own(void)
{
	struct fail f = { 0 };
	struct place_box one, two;
	char path[128];

	open_place();
	CHECK_NUMBER(place_box_make(&place, USER, &one, &f), 0);
	CHECK_NUMBER(place_box_make(&place, USER, &two, &f), 0);
	CHECK(strcmp(one.id, two.id) != 0);
	CHECK_NUMBER(strlen(one.id), PLACE_ID);
	snprintf(path, sizeof(path), STATE "/boxes/%d/%s", USER, one.id);
	CHECK_NUMBER(mode_of(path), S_IFDIR | 0700);
	CHECK_NUMBER(place_count(&place, USER), 2);
	CHECK_NUMBER(place_count(&place, USER + 1), 0);
	CHECK_NUMBER(place_count(&place, PLACE_ALL), 2);
	place_box_forget(&place, &one);
	CHECK_NUMBER(mode_of(path), 0);
	place_box_forget(&place, &two);
	CHECK_NUMBER(place_count(&place, USER), 0);
	CHECK_NUMBER(mode_of(STATE "/boxes/61001"), 0);
}

static int count_one(const struct place *p, const struct place_box *box, void *arg)
{
	(void)p;
	(void)box;
	++*(int *)arg;
	return 0;
}

static void what_is_no_box_is_not_one(void)
{
	struct fail f = { 0 };
	struct place_box box;
	int seen = 0;

	open_place();
	CHECK_NUMBER(place_box_make(&place, USER, &box, &f), 0);
	CHECK(mkdirat(place.dir, "boxes/not-a-number", 0700) == 0);
	CHECK(mkdirat(place.dir, "boxes/not-a-number/00000000", 0700) == 0);
	CHECK(mkdirat(place.dir, "boxes/4294967295", 0700) == 0);
	CHECK(mkdirat(place.dir, "boxes/4294967295/00000000", 0700) == 0);
	CHECK(mkdirat(place.dir, "boxes/61001/0123456", 0700) == 0);
	CHECK(mkdirat(place.dir, "boxes/61001/0123456G", 0700) == 0);
	CHECK(mkdirat(place.dir, "boxes/61001/012345678", 0700) == 0);
	CHECK(symlinkat("/tmp", place.dir, "boxes/61002") == 0);
	place_each(&place, (uid_t)-1, count_one, &seen);
	CHECK_NUMBER(seen, 1);
}

static void a_lock_is_held_by_one(void)
{
	struct fail f = { 0 };

	open_place();
	OWN_FD first = place_lock(&place, USER, 0, &f);
	CHECK(first >= 0);
	CHECK_NUMBER(mode_of(STATE "/lock/61001"), S_IFREG | 0600);
	CHECK_NUMBER(place_lock(&place, USER, 0, &f), -1);
	CHECK_NUMBER(f.err, EWOULDBLOCK);
	f = (struct fail){ 0 };
	CHECK_NUMBER(place_lock(&place, USER, fdio_now_ms() + 20, &f), -1);
	CHECK_NUMBER(f.err, ETIMEDOUT);
	f = (struct fail){ 0 };
	OWN_FD other = place_lock(&place, USER + 1, 0, &f);
	CHECK(other >= 0);
	own_fd_close(&first);
	first = place_lock(&place, USER, 0, &f);
	CHECK(first >= 0);
}

static void a_lock_that_was_let_go_is_held_by_no_child_either(void)
{
	struct fail f = { 0 };

	open_place();
	int first = place_lock(&place, USER, 0, &f);
	CHECK(first >= 0);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	if (child < 0)
		abort();
	CHECK_NUMBER(place_lock(&place, USER, 0, &f), -1);
	place_unlock(&first);
	CHECK_NUMBER(first, -1);
	OWN_FD second = place_lock(&place, USER, 0, &f);
	CHECK(second >= 0);
	place_unlock(&first); /* one that is not open */
	CHECK_NUMBER(place_lock(&place, USER, 0, &f), -1);
	CHECK_NUMBER(kill(child, SIGKILL), 0);
	CHECK_NUMBER(waitpid(child, NULL, 0), child);
}

static void a_link_in_the_place_of_a_lock_is_not_followed(void)
{
	struct fail f = { 0 };

	open_place();
	CHECK(symlinkat("/run/elsewhere", place.dir, "lock/61001") == 0);
	CHECK_NUMBER(place_lock(&place, USER, 0, &f), -1);
	CHECK_NUMBER(mode_of("/run/elsewhere"), 0);
}

/* A cleaner removed the whole tree, and a user could have made it anew. */
static void what_a_cleaner_removed_is_made_again_and_not_trusted(void)
{
	open_place();
	unlinkat(place.dir, "boxes", AT_REMOVEDIR);
	unlinkat(place.dir, "lock", AT_REMOVEDIR);
	CHECK(rmdir(STATE "/all") == 0 && rmdir(STATE) == 0 && !refused());
	CHECK_NUMBER(mode_of(STATE "/boxes"), S_IFDIR | 0700);
	rmdir(STATE "/boxes");
	CHECK(mkdir(STATE "/boxes", 0777) == 0 && chown(STATE "/boxes", USER, USER) == 0);
	CHECK(refused());
}

static void an_address_is_in_the_state_directory(void)
{
	struct place_box box = { .uid = 4294967294u, .id = "0123abcd" };
	struct sockaddr_un at;

	place_address(&box, &at);
	CHECK_TEXT(at.sun_path, STATE "/boxes/4294967294/0123abcd/sock");
}

int main(void)
{
	if (!private_run())
		return 1;
	RUN(what_is_missing_is_made_for_root_alone);
	RUN(a_directory_of_somebody_elses_is_refused);
	RUN(what_is_no_directory_is_refused);
	RUN(a_box_has_a_directory_of_its_own);
	RUN(what_is_no_box_is_not_one);
	RUN(a_lock_is_held_by_one);
	RUN(a_lock_that_was_let_go_is_held_by_no_child_either);
	RUN(a_link_in_the_place_of_a_lock_is_not_followed);
	RUN(what_a_cleaner_removed_is_made_again_and_not_trusted);
	RUN(an_address_is_in_the_state_directory);
	return test_end();
}
