/*
 * Linked into the programs of a sanitized build alone. What a sanitizer finds goes into one
 * file of the throw-away host, whichever process finds it: the file is mapped before main, and
 * a mapping survives fork, chroot, another uid and the closing of all descriptors, where a
 * path or a descriptor would not. tests/host looks into it at the end.
 *
 * The options stand here because the helper gives its caller's environment up, and because
 * nobody's ASAN_OPTIONS may decide what is looked for.
 */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REPORTS "/var/log/sanitizers"
#define REPORTS_SIZE (256 << 10)
#define SEEN __attribute__((visibility("default"), used))

/* tests/lib/sanitized.py reads the same. */
struct reports {
	atomic_size_t used;
	char text[REPORTS_SIZE - sizeof(atomic_size_t)];
};

static struct reports *reports;

SEEN const char *__asan_default_options(void);
SEEN const char *__ubsan_default_options(void);
SEEN void __ubsan_on_report(void);
void __ubsan_get_current_report_data(const char **kind, const char **message, const char **file,
	unsigned *line, unsigned *column, char **address);

/* Processes that live on look for no leaks at their end: they leave by _exit(2). */
SEEN const char *__asan_default_options(void)
{
	return "detect_leaks=0:exitcode=99:allocator_may_return_null=1";
}

SEEN const char *__ubsan_default_options(void)
{
	return "exitcode=99";
}

static void keep(const char *text)
{
	if (!reports)
		return;
	size_t size = strlen(text), at = atomic_fetch_add(&reports->used, size);

	if (at < sizeof(reports->text))
		memcpy(reports->text + at, text,
			size < sizeof(reports->text) - at ? size : sizeof(reports->text) - at);
}

SEEN void __ubsan_on_report(void)
{
	const char *kind = "", *message = "", *file = "";
	unsigned line = 0, column = 0;
	char *address = NULL, text[1024];

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	snprintf(text, sizeof(text), "%s:%u:%u: %s: %s\n", file, line, column, kind, message);
	keep(text);
}

/* Where the file is not, as in a box that is looked at from inside, reports go to stderr alone. */
__attribute__((constructor)) static void begin(void)
{
	int fd = open(REPORTS, O_RDWR | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, REPORTS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		reports = at;
	__asan_set_error_report_callback(keep);
}
