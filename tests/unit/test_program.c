#include "lib/linux/program.h"
#include "tests/unit/dir_help.h"
#include "tests/unit/test.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static char needs[PATH_MAX];

/* What a file with these bytes needs. */
static const char *of(const void *bytes, size_t size)
{
	int fd = open(dir_path("x"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
	return program_needs(dir_path("x"), needs, sizeof(needs)) ? needs : strerror(errno);
}

#define OF(text) of(text, sizeof(text) - 1)

static void a_script_needs_what_its_first_line_names(void)
{
	if (!dir_begin())
		return;
	CHECK_TEXT(OF("#!/bin/sh\necho\n"), "/bin/sh");
	CHECK_TEXT(OF("#! \t/usr/bin/env python3 -x\n"), "/usr/bin/env");
	CHECK_TEXT(OF("#!/bin/sh"), "/bin/sh");
	CHECK_TEXT(OF("#!"), "");
	CHECK_TEXT(OF("#!\n/bin/sh"), "");
	CHECK_TEXT(OF("echo\n"), "");
	CHECK_TEXT(OF(""), "");
	dir_end();
}

struct image {
	Elf64_Ehdr elf;
	Elf64_Phdr part[2];
	char name[16];
};

static struct image image(void)
{
	struct image i = { .elf = { .e_phoff = sizeof(Elf64_Ehdr),
				   .e_phnum = 2,
				   .e_phentsize = sizeof(Elf64_Phdr) },
		.part = { { .p_type = PT_PHDR }, { .p_type = PT_INTERP,
							 .p_offset = offsetof(struct image, name),
							 .p_filesz = sizeof(i.name) } },
		.name = "/lib/ld.so" };

	memcpy(i.elf.e_ident, ELFMAG, SELFMAG);
	i.elf.e_ident[EI_CLASS] = ELFCLASS64;
	return i;
}

static void an_elf_program_needs_its_loader(void)
{
	if (!dir_begin())
		return;
	struct image i = image();
	CHECK_TEXT(of(&i, sizeof(i)), "/lib/ld.so");
	i.part[1].p_type = PT_LOAD;
	CHECK_TEXT(of(&i, sizeof(i)), "");
	CHECK(program_needs("/proc/self/exe", needs, sizeof(needs)) == false && errno == ELOOP);
	dir_end();
}

static void a_broken_one_needs_nothing(void)
{
	if (!dir_begin())
		return;
	struct image i = image();
	for (size_t n = 0; n < offsetof(struct image, name); n++)
		CHECK_TEXT(of(&i, n), "");
	i.part[1].p_offset = UINT64_MAX;
	CHECK_TEXT(of(&i, sizeof(i)), "");
	i = image();
	i.part[1].p_filesz = UINT64_MAX;
	CHECK_TEXT(of(&i, sizeof(i)), "");
	i = image();
	i.elf.e_phoff = UINT64_MAX - 8;
	CHECK_TEXT(of(&i, sizeof(i)), "");
	i = image();
	i.elf.e_phnum = UINT16_MAX;
	CHECK_TEXT(of(&i, sizeof(i)), "");
	i = image();
	i.elf.e_phentsize = 1;
	CHECK_TEXT(of(&i, sizeof(i)), "");
	dir_end();
}

static void only_regular_files_are_opened(void)
{
	if (!dir_begin())
		return;
	CHECK(mkfifo(dir_path("pipe"), 0600) == 0);
	CHECK(!program_needs(dir_path("pipe"), needs, sizeof(needs)));
	CHECK_NUMBER(errno, EINVAL);
	CHECK(!program_needs(dir_path("none"), needs, sizeof(needs)));
	CHECK_NUMBER(errno, ENOENT);
	CHECK(symlink("/bin/true", dir_path("link")) == 0);
	CHECK(!program_needs(dir_path("link"), needs, sizeof(needs)));
	CHECK_NUMBER(errno, ELOOP);
	dir_end();
}

int main(void)
{
	RUN(a_script_needs_what_its_first_line_names);
	RUN(an_elf_program_needs_its_loader);
	RUN(a_broken_one_needs_nothing);
	RUN(only_regular_files_are_opened);
	return test_end();
}
