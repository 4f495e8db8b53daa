#include "lib/linux/seccomp.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int seccomp_store(const struct seccomp_program *programs, size_t n, struct fail *f)
{
	OWN_FD fd = memfd_create("loginbox-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return fail_sys(f, "store the filter of system calls", "");
	for (size_t i = 0; i < n; i++) {
		const uint64_t length = programs[i].n;
		if (fdio_write_all(fd, &length, sizeof(length)) < 0 ||
			fdio_write_all(fd, programs[i].code, length * sizeof(*programs->code)) < 0)
			return fail_sys(f, "store the filter of system calls", "");
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return fail_sys(f, "store the filter of system calls", "");
	return take_fd(&fd);
}

/* No reading back: a program may forbid the very call that would ask. */
static int apply_one(int fd, off_t at, size_t n, struct sock_filter *code, struct fail *f)
{
	const struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
	size_t size = n * sizeof(*code);

	if (pread(fd, code, size, at) != (ssize_t)size)
		return fail_err(f, EPROTO, "read the filter of system calls", "");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return fail_sys(f, "filter system calls", "");
	return 0;
}

int seccomp_apply(int fd, struct fail *f)
{
	OWN_STR room = malloc(SECCOMP_MOST * sizeof(struct sock_filter));
	struct stat st;
	uint64_t n;

	if (!room || fstat(fd, &st) < 0)
		return fail_sys(f, "read the filter of system calls", "");
	for (off_t at = 0; at < st.st_size; at += (off_t)(n * sizeof(struct sock_filter))) {
		if (pread(fd, &n, sizeof(n), at) != sizeof(n) || n == 0 || n > SECCOMP_MOST)
			return fail_err(f, EPROTO, "read the filter of system calls", "");
		at += (off_t)sizeof(n);
		if (apply_one(fd, at, n, (struct sock_filter *)(void *)room, f) < 0)
			return -1;
	}
	return st.st_size ? 0 : fail_err(f, EPROTO, "read the filter of system calls", "");
}
