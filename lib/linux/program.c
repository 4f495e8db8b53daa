#include "lib/linux/program.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 256 /* as much of the first line as the kernel looks at */
#define HEADERS_MAX 128

/* "#!" and a path, with blanks before and behind it. */
static void read_first_line(const char *head, char *out, size_t size)
{
	char line[HEAD];

	text_copy(line, sizeof(line), head + 2);
	line[strcspn(line, "\n")] = '\0';
	char *path = line + strspn(line, " \t");
	path[strcspn(path, " \t")] = '\0';
	text_copy(out, size, path);
}

static void read_name(int fd, uint64_t at, uint64_t length, char *out, size_t size)
{
	if (length == 0 || length >= size || at > INT64_MAX)
		return;
	ssize_t n = pread(fd, out, length, (off_t)at);
	out[n > 0 ? n : 0] = '\0';
}

/* The two classes of ELF differ in the sizes of their fields alone. */
#define READ_LOADER(bits)                                                                          \
	static void read_loader_##bits(int fd, char *out, size_t size)                             \
	{                                                                                          \
		Elf##bits##_Ehdr elf;                                                              \
		Elf##bits##_Phdr part;                                                             \
                                                                                                   \
		if (pread(fd, &elf, sizeof(elf), 0) != sizeof(elf) ||                              \
			elf.e_phentsize != sizeof(part) || elf.e_phnum > HEADERS_MAX)              \
			return;                                                                    \
		for (unsigned i = 0; i < elf.e_phnum; i++) {                                       \
			off_t at = (off_t)(elf.e_phoff + (uint64_t)i * sizeof(part));              \
			if (at < 0 || pread(fd, &part, sizeof(part), at) != sizeof(part))          \
				return;                                                            \
			if (part.p_type != PT_INTERP)                                              \
				continue;                                                          \
			read_name(fd, part.p_offset, part.p_filesz, out, size);                    \
			return;                                                                    \
		}                                                                                  \
	}

READ_LOADER(32)
READ_LOADER(64)

bool program_needs(const char *path, char *out, size_t size)
{
	char head[HEAD] = "";
	struct stat st;
	OWN_FD fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	out[0] = '\0';
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode))
		return errno = EINVAL, false;
	if (pread(fd, head, sizeof(head) - 1, 0) < 0)
		return false;
	if (head[0] == '#' && head[1] == '!')
		read_first_line(head, out, size);
	else if (memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS64)
		read_loader_64(fd, out, size);
	else if (memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS32)
		read_loader_32(fd, out, size);
	return true;
}
