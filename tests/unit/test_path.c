#include "lib/linux/path.h"
#include "tests/unit/dir_help.h"

static char words[700];

static const char *open_file(const char *name)
{
	struct fail f = { 0 };
	OWN_FD fd = -1;
	char byte;

	if (path_open_file(&fd, dir_path(name), &f) < 0)
		return dir_short(fail_word(&f, words, sizeof(words)));
	return read(fd, &byte, 1) == 1 ? "" : "cannot be read";
}

static const char *open_directory(const char *name)
{
	struct fail f = { 0 };
	OWN_FD fd = -1;

	if (path_open_directory(&fd, dir_path(name), &f) < 0)
		return dir_short(fail_word(&f, words, sizeof(words)));
	OWN_FD above = openat(fd, "..", O_PATH | O_CLOEXEC);
	return above >= 0 ? "" : "cannot be read";
}

static void make_all(void)
{
	dir_make("d");
	dir_make("d/e");
	dir_write("d/e/file", "text\n");
	CHECK(symlink("e", dir_path("d/link")) == 0);
	CHECK(symlink("file", dir_path("d/e/link")) == 0);
	CHECK(mkfifo(dir_path("d/e/pipe"), 0644) == 0);
}

static void what_is_roots_alone_is_opened(void)
{
	if (!dir_begin())
		return;
	make_all();
	CHECK_TEXT(open_file("d/e/file"), "");
	CHECK_TEXT(open_file("d//e///file"), "");
	CHECK_TEXT(open_directory("d/e"), "");
	CHECK_TEXT(open_directory("d/e/"), "");
	CHECK_TEXT(open_file("d/e/none"), "cannot open 'T/d/e/none': No such file or directory");
	CHECK_TEXT(open_file("d/none/x"), "cannot open 'T/d/none': No such file or directory");
	dir_end();
}

static void a_file_that_others_can_write_is_not_trusted(void)
{
	if (!dir_begin())
		return;
	make_all();
	CHECK(chmod(dir_path("d/e/file"), 0664) == 0);
	CHECK_TEXT(open_file("d/e/file"),
		"cannot trust 'T/d/e/file': group or others can write to it");
	CHECK(chmod(dir_path("d/e/file"), 0646) == 0);
	CHECK_TEXT(open_file("d/e/file"),
		"cannot trust 'T/d/e/file': group or others can write to it");
	CHECK(chmod(dir_path("d/e/file"), 0644) == 0);
	CHECK(chown(dir_path("d/e/file"), 1000, 0) == 0);
	CHECK_TEXT(open_file("d/e/file"), "cannot trust 'T/d/e/file': it is not owned by root");
	dir_end();
}

static void every_directory_above_counts(void)
{
	if (!dir_begin())
		return;
	make_all();
	CHECK(chmod(dir_path("d"), 01777) == 0);
	CHECK_TEXT(open_file("d/e/file"), "cannot trust 'T/d': group or others can write to it");
	CHECK_TEXT(open_directory("d/e"),
		"cannot trust 'T/d': group or others can write to it");
	CHECK(chmod(dir_path("d"), 0755) == 0);
	CHECK(chown(dir_path("d/e"), 1000, 0) == 0);
	CHECK_TEXT(open_file("d/e/file"), "cannot trust 'T/d/e': it is not owned by root");
	CHECK_TEXT(open_directory("d/e"), "cannot trust 'T/d/e': it is not owned by root");
	dir_end();
}

static void links_are_not_followed(void)
{
	if (!dir_begin())
		return;
	make_all();
	CHECK_TEXT(open_file("d/e/link"), "cannot trust 'T/d/e/link': it is a symbolic link");
	CHECK_TEXT(open_file("d/link/file"), "cannot trust 'T/d/link': it is a symbolic link");
	CHECK_TEXT(open_directory("d/link"), "cannot trust 'T/d/link': it is a symbolic link");
	CHECK_TEXT(open_directory("d/link/"), "cannot trust 'T/d/link/': it is a symbolic link");
	dir_end();
}

static void only_regular_files_are_files(void)
{
	if (!dir_begin())
		return;
	make_all();
	CHECK_TEXT(open_file("d/e"), "cannot trust 'T/d/e': it is no regular file");
	CHECK_TEXT(open_file("d/e/pipe"), "cannot trust 'T/d/e/pipe': it is no regular file");
	CHECK_TEXT(open_directory("d/e/file"), "cannot trust 'T/d/e/file': it is no directory");
	CHECK_TEXT(open_file("d/e/file/x"), "cannot trust 'T/d/e/file': it is no directory");
	dir_end();
}

static void dots_and_relative_names_are_refused(void)
{
	struct fail f = { 0 };
	int fd = -1;

	CHECK_NUMBER(path_open_file(&fd, "etc/passwd", &f), -1);
	CHECK_NUMBER(f.err, EINVAL);
	f = (struct fail){ 0 };
	CHECK_NUMBER(path_open_directory(&fd, "/etc/..", &f), -1);
	CHECK_NUMBER(f.err, EINVAL);
	f = (struct fail){ 0 };
	CHECK_NUMBER(path_open_file(&fd, "", &f), -1);
	CHECK_NUMBER(fd, -1);
}

static const char *find(const char *name)
{
	static char out[PATH_MAX];

	if (!path_find_directory(dir_path(name), out, sizeof(out)))
		return strerror(errno);
	return dir_short(out);
}

static void a_directory_is_found_behind_roots_links(void)
{
	char out[PATH_MAX];

	if (!dir_begin())
		return;
	make_all();
	CHECK(symlink("../d/link", dir_path("d/e/up")) == 0);
	CHECK(symlink("loop", dir_path("loop")) == 0);
	CHECK(symlink(dir_path("d/e"), dir_path("whole")) == 0);
	CHECK_TEXT(find("d/e"), "T/d/e");
	CHECK_TEXT(find("d//e/./"), "T/d/e");
	CHECK_TEXT(find("d/e/.."), "T/d");
	CHECK_TEXT(find("d/link"), "T/d/e");
	CHECK_TEXT(find("whole/../link"), "T/d/e");
	CHECK_TEXT(find("loop"), strerror(ELOOP));
	CHECK_TEXT(find("d/none"), strerror(ENOENT));
	CHECK_TEXT(find("d/e/file"), strerror(ENOTDIR));
	CHECK_TEXT(find("d/e/link"), strerror(ENOTDIR));
	CHECK(path_find_directory("/", out, sizeof(out)) && strcmp(out, "/") == 0);
	CHECK(path_find_directory("/..", out, sizeof(out)) && strcmp(out, "/") == 0);
	CHECK(!path_find_directory("relative", out, sizeof(out)));

	/* Somebody else's link leads nowhere, and so does one that anybody could have put. */
	CHECK(chown(dir_path("d"), 1000, 0) == 0);
	CHECK_TEXT(find("d/link"), strerror(ELOOP));
	CHECK_TEXT(find("d/e"), "T/d/e");
	CHECK(chown(dir_path("d"), 0, 0) == 0 && chmod(dir_path("d"), 01777) == 0);
	CHECK_TEXT(find("d/link"), strerror(ELOOP));
	dir_end();
}

static const char *find_way(const char *name)
{
	static char out[PATH_MAX];

	if (!path_find_way(dir_path(name), PATH_ANYWHERE, out, sizeof(out)))
		return strerror(errno);
	return dir_short(out);
}

static void a_way_is_found_as_far_as_there_are_directories(void)
{
	char out[PATH_MAX];

	if (!dir_begin())
		return;
	make_all();
	CHECK(symlink("loop", dir_path("loop")) == 0);
	CHECK(symlink("/", dir_path("top")) == 0);
	CHECK_TEXT(find_way("d/link"), "T/d/e");
	CHECK_TEXT(find_way("d/link/file"), "T/d/e/file");
	CHECK_TEXT(find_way("d/link/none/x"), "T/d/e/none/x");
	CHECK_TEXT(find_way("d/link/file/x"), "T/d/e/file/x");
	CHECK_TEXT(find_way("d/e/link"), "T/d/e/link");
	CHECK_TEXT(find_way("loop/x"), strerror(ELOOP));
	CHECK(path_find_way("/", PATH_ANYWHERE, out, sizeof(out)) && strcmp(out, "/") == 0);
	CHECK(path_find_way(dir_path("top"), PATH_ANYWHERE, out, sizeof(out)) && strcmp(out, "/") == 0);
	CHECK(path_find_way("/no-such-name/x", PATH_ANYWHERE, out, sizeof(out)));
	CHECK_TEXT(out, "/no-such-name/x");
	CHECK(!path_find_way("relative/x", PATH_ANYWHERE, out, sizeof(out)));
	CHECK(!path_find_way("/no-such-name/x", PATH_ANYWHERE, out, 5));

	/* Behind somebody else's link nothing is looked for. */
	CHECK(chown(dir_path("d"), 1000, 0) == 0);
	CHECK_TEXT(find_way("d/link/none"), strerror(ELOOP));
	dir_end();
}

int main(void)
{
	RUN(what_is_roots_alone_is_opened);
	RUN(a_file_that_others_can_write_is_not_trusted);
	RUN(every_directory_above_counts);
	RUN(links_are_not_followed);
	RUN(only_regular_files_are_files);
	RUN(dots_and_relative_names_are_refused);
	RUN(a_directory_is_found_behind_roots_links);
	RUN(a_way_is_found_as_far_as_there_are_directories);
	return test_end();
}
