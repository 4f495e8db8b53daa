#include "helper/state/note.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NOTE_MAX 4096

/* The name may hold anything, so the fields are counted after the last parenthesis. */
int note_process_of(pid_t pid, struct note_process *out)
{
	char path[32], stat[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (fdio_read_at(AT_FDCWD, path, stat, sizeof(stat)) < 0)
		return -1;
	char *at = strrchr(stat, ')');
	/* What has ended and waits for its parent has nothing left, and may wait for ever. */
	if (at && (text_starts(at, ") Z") || text_starts(at, ") X"))) {
		errno = ESRCH;
		return -1;
	}
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	errno = EINVAL;
	if (!at)
		return -1;
	at++;
	at[strcspn(at, " \n")] = '\0';
	out->pid = pid;
	return text_to_u64(at, UINT64_MAX, &out->start) ? 0 : -1;
}

bool note_process_lives(const struct note_process *process)
{
	struct note_process now;
	return process->pid > 0 && note_process_of(process->pid, &now) == 0 &&
		now.start == process->start;
}

int note_boot(char *out, size_t size)
{
	ssize_t n = fdio_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", out, size);
	if (n <= 0)
		return -1;
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

int note_write(int boxdir, const struct note *note, struct fail *f)
{
	char bytes[NOTE_MAX];
	struct text t = text_in(bytes, sizeof(bytes));

	text_add(&t, "boot %s\nmade %llu\nbox %s\nrule %s\nuser %s\nhash %s\n", note->boot,
		(unsigned long long)note->made, note->box, note->rule, note->user, note->hash);
	text_add(&t, "keeper %d %llu\ninit %d %llu\n", note->keeper.pid,
		(unsigned long long)note->keeper.start, note->init.pid,
		(unsigned long long)note->init.start);
	if (t.cut)
		return fail_err(f, EMSGSIZE, "write note", "");

	OWN_FD fd = openat(boxdir, "note.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (fd < 0 || fdio_write_all(fd, bytes, t.len) < 0 ||
		renameat(boxdir, "note.new", boxdir, "note") < 0)
		return fail_sys(f, "write note", "");
	return 0;
}

static bool read_process(const char *value, struct note_process *out)
{
	char pid[16];
	uint64_t number;
	size_t n = strcspn(value, " ");

	if (n >= sizeof(pid) || value[n] != ' ')
		return false;
	memcpy(pid, value, n);
	pid[n] = '\0';
	if (!text_to_u64(pid, 1 << 22, &number))
		return false;
	out->pid = (pid_t)number;
	return text_to_u64(value + n + 1, UINT64_MAX, &out->start);
}

enum note_line { BOOT, MADE, BOX, RULE, USER, HASH, KEEPER, INIT, LINES };

static const char *const keys[LINES] = { "boot", "made", "box", "rule", "user", "hash", "keeper",
	"init" };

static bool read_value(struct note *out, enum note_line line, const char *value)
{
	switch (line) {
	case BOOT:
		return text_copy(out->boot, sizeof(out->boot), value);
	case MADE:
		return text_to_u64(value, UINT64_MAX, &out->made);
	case BOX:
		return text_copy(out->box, sizeof(out->box), value);
	case RULE:
		return text_copy(out->rule, sizeof(out->rule), value);
	case USER:
		return text_copy(out->user, sizeof(out->user), value);
	case HASH:
		return text_copy(out->hash, sizeof(out->hash), value);
	case KEEPER:
		return read_process(value, &out->keeper);
	case INIT:
		return read_process(value, &out->init);
	default:
		return false;
	}
}

static bool read_line(struct note *out, char *line, unsigned *seen)
{
	char *value = strchr(line, ' ');

	if (!value)
		return false;
	*value++ = '\0';
	for (unsigned i = 0; i < LINES; i++) {
		if (strcmp(line, keys[i]) != 0)
			continue;
		if (*seen & 1u << i)
			return false;
		*seen |= 1u << i;
		return read_value(out, (enum note_line)i, value);
	}
	return false;
}

int note_read(int boxdir, struct note *out, struct fail *f)
{
	char bytes[NOTE_MAX];
	unsigned seen = 0;
	ssize_t n = fdio_read_at(boxdir, "note", bytes, sizeof(bytes));

	*out = (struct note){ 0 };
	if (n < 0)
		return fail_sys(f, "read note", "");
	if (memchr(bytes, '\0', (size_t)n))
		return fail_say(f, FAIL_SYSTEM, "read note", "", "it is not one of ours");
	for (char *line = bytes; *line;) {
		char *end = strchr(line, '\n');
		if (!end)
			return fail_say(f, FAIL_SYSTEM, "read note", "", "it is not whole");
		*end = '\0';
		if (!read_line(out, line, &seen))
			return fail_say(f, FAIL_SYSTEM, "read note", "", "it is not one of ours");
		line = end + 1;
	}
	if (seen != (1u << LINES) - 1)
		return fail_say(f, FAIL_SYSTEM, "read note", "", "it is not whole");
	return 0;
}
