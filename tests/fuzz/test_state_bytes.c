/*
 * Any bytes as a note, as a marker and as messages of a session: read or refused, and the
 * reader lives. A valid text is changed at random; SEED repeats a run.
 */
#include "helper/keeper/session.h"
#include "helper/state/marker.h"
#include "helper/state/note.h"
#include "helper/state/policy_kept.h"
#include "lib/base/own.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <time.h>

static uint64_t state;
static long rounds;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

/* Some bytes changed, cut, doubled or put in. */
static size_t change(char *bytes, size_t n, size_t room)
{
	static const char odd[] = "\0\n \xff" "0-9ax%/";

	for (uint32_t i = draw(6); i > 0; i--) {
		size_t at = n ? draw((uint32_t)n) : 0;
		switch (draw(4)) {
		case 0:
			n = at;
			break;
		case 1:
			if (n)
				bytes[at] = odd[draw(sizeof(odd) - 1)];
			break;
		case 2:
			if (n)
				bytes[at] = (char)draw(256);
			break;
		default:
			if (2 * (n - at) + at < room) {
				memmove(bytes + n, bytes + at, n - at);
				n += n - at;
			}
		}
	}
	return n;
}

static void put(int dir, const char *name, const char *bytes, size_t n)
{
	OWN_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
}

static void any_bytes_as_a_note_are_read_or_refused(void)
{
	static const struct note good = { .boot = "b", .made = 1, .box = "student", .rule = "r@f:1",
		.user = "alice", .hash = "0", .keeper = { 1, 2 }, .init = { 3, 4 } };
	char text[8192], bytes[8192];
	struct fail f = { 0 };
	OWN_FD dir = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long read = 0;

	CHECK_NUMBER(note_write(dir, &good, &f), 0);
	ssize_t n = fdio_read_at(dir, "note", text, sizeof(text));
	CHECK(n > 0);
	for (long i = 0; n > 0 && i < rounds; i++) {
		struct note note;
		memcpy(bytes, text, (size_t)n);
		put(dir, "note", bytes, change(bytes, (size_t)n, sizeof(bytes)));
		f = (struct fail){ 0 };
		int result = note_read(dir, &note, &f);
		read += result == 0;
		CHECK(result == 0 || fail_is_set(&f));
		CHECK(memchr(note.user, '\0', sizeof(note.user)) && note.keeper.pid >= 0);
	}
	printf("# %ld notes, %ld read\n", rounds, read);
}

static void any_bytes_as_a_marker_are_read_or_refused(void)
{
	static const char good[] = "id 0123abcd\nuid 2001\nnested refuse\nshell /bin/sh\n"
				   "limit 7 100 200\n";
	char bytes[4096];
	long read = 0;

	mkdir(LOGINBOX_RUN, 0700);
	OWN_FD dir = open(LOGINBOX_RUN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (long i = 0; i < rounds; i++) {
		struct marker marker;
		struct fail f = { 0 };
		memcpy(bytes, good, sizeof(good));
		put(dir, MARKER_FILE, bytes, change(bytes, sizeof(good) - 1, sizeof(bytes)));
		int result = marker_read(&marker, &f);
		read += result == 1;
		CHECK(result == 1 || fail_is_set(&f));
		CHECK(memchr(marker.shell, '\0', sizeof(marker.shell)));
	}
	printf("# %ld markers, %ld read\n", rounds, read);
}

/* FNV-1a, as the last line of what is kept has it: noise behind a right sum is the harder test. */
static uint64_t sum_of(const char *bytes, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	return sum;
}

static void any_bytes_as_a_kept_policy_are_read_or_left(void)
{
	static const char good[] = "loginbox policy 1\nF 0 1 /a/b.conf\nS 1 1 box base\n"
				   "K 2 nofile 64\nF 1 2 /a/c.conf\nS 1 0 global \nS 4 2 rule r\n"
				   "K 5 user a, b\nK 6 box base\n";
	char bytes[8192];
	long read = 0;

	for (long i = 0; i < rounds; i++) {
		struct config config = { 0 };
		memcpy(bytes, good, sizeof(good));
		size_t n = change(bytes, sizeof(good) - 1, 4096);
		if (n && bytes[n - 1] != '\n')
			bytes[n++] = '\n';
		n += (size_t)snprintf(bytes + n, 64, "E %u %016llx\n", draw(3),
			(unsigned long long)sum_of(bytes, n));
		read += policy_kept_read(&config, bytes, n);
		config_free(&config);
	}
	CHECK(read > 0 && read < rounds);
	printf("# %ld kept policies, %ld read\n", rounds, read);
}

static void any_message_of_somebody_elses_leaves_the_session_alone(void)
{
	struct wire_head word = WIRE_HEAD(WIRE_VERDICT);
	char bytes[256];
	struct fdio_fds fds = { .fd = { 0, 1 }, .n = 2 };
	int pair[2];

	for (long i = 0; i < rounds; i++) {
		struct fail f = { 0 };
		struct wire_head got;
		if (i == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			abort();
		memcpy(bytes, &word, sizeof(word));
		size_t n = change(bytes, sizeof(word), sizeof(bytes));
		fds.n = draw(3);
		if (!n || fdio_send(pair[0], bytes, n, &fds, &f) < 0)
			continue;
		ssize_t came = fdio_recv(pair[1], &got, sizeof(got), NULL, NULL, 1, &f);
		CHECK(came == (ssize_t)n || (came < 0 && n > sizeof(got)));
	}
	close(pair[0]);
	close(pair[1]);
	int fd = dup(0);
	CHECK(fd >= 0 && fd < 20); /* nothing stayed open */
	close(fd);
}

int main(void)
{
	const char *seed = getenv("SEED"), *scale = getenv("COUNT_SCALE");

	if (!private_run())
		return 1;
	state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
	rounds = scale && strcmp(scale, "0") == 0 ? 5000000 : 20000;
	printf("# SEED=%llu\n", (unsigned long long)state);
	RUN(any_bytes_as_a_note_are_read_or_refused);
	RUN(any_bytes_as_a_marker_are_read_or_refused);
	RUN(any_bytes_as_a_kept_policy_are_read_or_left);
	RUN(any_message_of_somebody_elses_leaves_the_session_alone);
	return test_end();
}
