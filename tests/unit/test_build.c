#include "helper/build/build.h"
#include "helper/build/sync.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/socket.h>

/* An init that met a failure, said so, and ended before it had read what it was told. */
static struct build ended(void)
{
	const struct sync told = { .kind = SYNC_PLACED };
	struct sync word = { .kind = SYNC_FAILED };
	struct fail f = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	fail_err(&word.fail, EPERM, "make device", "/dev/null");
	CHECK_NUMBER(fdio_send(pair[0], &told, sizeof(told), NULL, &f), 0);
	CHECK_NUMBER(fdio_send(pair[1], &word, sizeof(word), NULL, &f), 0);
	close(pair[1]);
	return (struct build){ .init = -1, .control = pair[0], .ctl = -1, .keep = -1,
		.log_socket = -1, .lock = -1 };
}

static void what_an_init_said_is_heard_although_it_has_ended(void)
{
	struct build build = ended();
	struct fail f = { 0 };

	CHECK_NUMBER(build_finish(&build, fdio_now_ms() + 1000, &f), -1);
	CHECK_TEXT(f.step, "make device");
	CHECK_NUMBER(f.err, EPERM);
	build = ended();
	f = (struct fail){ 0 };
	fail_err(&f, EPIPE, "send message", "");
	build_hear_cause(&build, &f);
	CHECK_TEXT(f.step, "make device");
	build_abandon(&build);
}

int main(void)
{
	RUN(what_an_init_said_is_heard_although_it_has_ended);
	return test_end();
}
