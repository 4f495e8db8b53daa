/*
 * program.h - what the kernel needs besides a file itself to run it.
 *
 * Uses: libc (open(2), pread(2)), lib/base.
 */
#ifndef LIB_LINUX_PROGRAM_H
#define LIB_LINUX_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads which other file the kernel starts to run the regular file `path`: the interpreter of
 * a script's first line, or the loader that an ELF program names (execve(2), elf(5)). `out` is
 * "" for a program that needs none, and for a file of another kind. False, with errno, when
 * the file cannot be read; a last component that is a symbolic link is not followed.
 */
bool program_needs(const char *path, char *out, size_t size);

#endif
