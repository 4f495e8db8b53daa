/*
 * test.h - one program, several tests, one line each on stdout:
 *
 *	ok NAME        not ok NAME: why        skip NAME: why
 *
 * A test is a function without arguments whose name is a sentence; main() runs it by
 * RUN(name) and ends with `return test_end();`.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
	char why[2000];
	bool failed, skipped;
	int any_failed;
} test_now;

__attribute__((format(printf, 3, 4), unused)) static void test_fail(const char *file, int line,
	const char *format, ...)
{
	char what[1800];
	va_list args;

	if (test_now.failed)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	for (char *c = what; *c; c++)
		if (*c == '\n')
			*c = '|';
	snprintf(test_now.why, sizeof(test_now.why), "%s:%d: %s", file, line, what);
	test_now.failed = true;
}

__attribute__((unused)) static void test_skip(const char *why)
{
	snprintf(test_now.why, sizeof(test_now.why), "%s", why);
	test_now.skipped = true;
}

/*
 * Ends a process that the test started. What could not be started has the number -1, and a
 * signal to that is one to every process of the machine.
 */
__attribute__((unused)) static void test_kill(pid_t pid, int sig)
{
	if (pid <= 1)
		test_fail(__FILE__, __LINE__, "there is no process %d to end", (int)pid);
	else
		kill(pid, sig);
}

/* The first that is false fails the test; the test goes on. */
#define CHECK(claim) \
	do { \
		if (!(claim)) \
			test_fail(__FILE__, __LINE__, "%s", #claim); \
	} while (0)

#define CHECK_TEXT(is, wanted) \
	do { \
		const char *is_ = (is), *wanted_ = (wanted); \
		if (!is_ || strcmp(is_, wanted_) != 0) \
			test_fail(__FILE__, __LINE__, "'%s' is not '%s'", is_ ? is_ : "(null)", \
				wanted_); \
	} while (0)

#define CHECK_NUMBER(is, wanted) \
	do { \
		long long is_ = (long long)(is), wanted_ = (long long)(wanted); \
		if (is_ != wanted_) \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #is, is_, wanted_); \
	} while (0)

static void test_run(const char *name, void (*test)(void))
{
	test_now.failed = test_now.skipped = false;
	test();
	if (test_now.failed)
		printf("not ok %s: %s\n", name, test_now.why);
	else if (test_now.skipped)
		printf("skip %s: %s\n", name, test_now.why);
	else
		printf("ok %s\n", name);
	fflush(stdout);
	test_now.any_failed |= test_now.failed;
}

#define RUN(test) test_run(#test, test)

static int test_end(void)
{
	return test_now.any_failed;
}

/* A descriptor that reads `n` bytes from `p`; the caller closes it. */
__attribute__((unused)) static int test_bytes(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

__attribute__((unused)) static int test_text(const char *text)
{
	return test_bytes(text, strlen(text));
}

#endif
