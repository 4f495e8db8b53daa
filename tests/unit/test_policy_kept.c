#include "helper/state/policy_kept.h"
#include "lib/base/own.h"
#include "tests/unit/dir_help.h"
#include "tests/unit/test.h"

#include <time.h>

/* Long enough after what the tests write. */
#define LATER (time(NULL) + 60)

static const char *dirs[2];
static char vendor[PATH_MAX], site[PATH_MAX];

static void write_all_files(void)
{
	dir_write("vendor/loginbox.d/base.conf", "[box base]\nnofile = 64\n");
	dir_write("conf/loginbox.d/site.conf", "# a comment\n[box student]\nhide = /srv, /opt/x\n");
	dir_write("conf/loginbox.conf",
		"[rule students]\nuser = alice\nbox = student\n\n[global]\nmode = monitor\n");
}

static bool load(struct config *out)
{
	struct fail f = { 0 };
	return config_load(out, dir_path("conf"), dir_path("vendor"), &f) == 0;
}

/* What is kept of the files as they are now. */
static char *kept(size_t *size)
{
	struct config config = { 0 };

	if (!load(&config))
		return NULL;
	char *bytes = policy_kept_write(&config, dirs, 2, LATER, size);
	config_free(&config);
	return bytes;
}

static bool still_holds(const char *bytes, size_t size)
{
	struct config config = { 0 };
	OWN_STR copy = malloc(size + 1);

	memcpy(copy, bytes, size);
	copy[size] = '\0';
	bool holds = policy_kept_read(&config, copy, size);
	config_free(&config);
	return holds;
}

static void check_same(const struct config *a, const struct config *b)
{
	CHECK_NUMBER(a->n_files, b->n_files);
	for (size_t i = 0; i < a->n_files; i++) {
		const struct ini *x = &a->files[i].ini, *y = &b->files[i].ini;
		CHECK_TEXT(a->files[i].name, b->files[i].name);
		CHECK_NUMBER(a->files[i].main, b->files[i].main);
		CHECK_NUMBER(x->n_sections, y->n_sections);
		for (size_t s = 0; s < x->n_sections; s++) {
			CHECK_TEXT(x->sections[s].kind, y->sections[s].kind);
			CHECK_TEXT(x->sections[s].name, y->sections[s].name);
			CHECK_NUMBER(x->sections[s].line, y->sections[s].line);
			CHECK_NUMBER(x->sections[s].n_keys, y->sections[s].n_keys);
			for (size_t k = 0; k < x->sections[s].n_keys; k++) {
				CHECK_TEXT(x->sections[s].keys[k].name, y->sections[s].keys[k].name);
				CHECK_TEXT(x->sections[s].keys[k].value, y->sections[s].keys[k].value);
				CHECK_NUMBER(x->sections[s].keys[k].line, y->sections[s].keys[k].line);
			}
		}
	}
}

static void what_is_kept_is_what_was_read(void)
{
	struct config read = { 0 }, again = { 0 };
	size_t size = 0;

	write_all_files();
	CHECK(load(&read));
	OWN_STR bytes = kept(&size);
	CHECK(bytes && policy_kept_read(&again, bytes, size));
	CHECK_NUMBER(read.n_files, 3);
	check_same(&read, &again);
	config_free(&read);
	config_free(&again);
}

/* What an administrator, or somebody who must not, may do to a policy. */
static void edit_file(void)
{
	dir_write("conf/loginbox.conf", "[global]\nmode = enforce\n");
}

static void edit_drop_in(void)
{
	dir_write("conf/loginbox.d/site.conf", "[box student]\n");
}

static void touch_file(void)
{
	CHECK(utimensat(AT_FDCWD, dir_path("vendor/loginbox.d/base.conf"), NULL, 0) == 0);
}

static void add_drop_in(void)
{
	dir_write("conf/loginbox.d/more.conf", "[box other]\n");
}

static void remove_drop_in(void)
{
	CHECK(unlink(dir_path("conf/loginbox.d/site.conf")) == 0);
}

static void remove_main(void)
{
	CHECK(unlink(dir_path("conf/loginbox.conf")) == 0);
}

static void open_file_to_others(void)
{
	CHECK(chmod(dir_path("conf/loginbox.conf"), 0666) == 0);
}

static void open_way_to_others(void)
{
	CHECK(chmod(dir_top, 0777) == 0);
}

static void give_file_away(void)
{
	CHECK(chown(dir_path("conf/loginbox.conf"), 65534, 65534) == 0);
}

static void replace_by_the_same(void)
{
	CHECK(rename(dir_path("conf/loginbox.conf"), dir_path("conf/old")) == 0);
	write_all_files();
}

static void link_instead(void)
{
	CHECK(rename(dir_path("conf/loginbox.d"), dir_path("conf/elsewhere")) == 0);
	CHECK(symlink("elsewhere", dir_path("conf/loginbox.d")) == 0);
}

static void start_again(void)
{
	dir_end();
	CHECK(mkdir(dir_top, 0755) == 0 && chmod(dir_top, 0755) == 0);
	dir_make("conf");
	dir_make("conf/loginbox.d");
	dir_make("vendor");
	dir_make("vendor/loginbox.d");
	write_all_files();
}

static void after_any_change_it_is_read_again(void)
{
	static void (*const changes[])(void) = { edit_file, edit_drop_in, touch_file, add_drop_in,
		remove_drop_in, remove_main, open_file_to_others, open_way_to_others, give_file_away,
		replace_by_the_same, link_instead };

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		size_t size = 0;
		start_again();
		OWN_STR bytes = kept(&size);
		CHECK(bytes && still_holds(bytes, size));
		changes[i]();
		if (bytes && still_holds(bytes, size))
			test_fail(__FILE__, __LINE__, "change %zu is not seen", i);
	}
	start_again();
}

static void a_file_that_is_made_later_is_seen(void)
{
	size_t size = 0;

	start_again();
	CHECK(unlink(dir_path("conf/loginbox.conf")) == 0);
	OWN_STR without = kept(&size);
	CHECK(without && still_holds(without, size));
	write_all_files();
	CHECK(!still_holds(without, size));
	remove_drop_in();
	CHECK(rmdir(dir_path("conf/loginbox.d")) == 0);
	OWN_STR no_dir = kept(&size);
	CHECK(no_dir && still_holds(no_dir, size));
	dir_make("conf/loginbox.d");
	CHECK(!still_holds(no_dir, size));
	start_again();
}

/* Another change at the same moment would leave everything as it looks. */
static void what_has_just_changed_is_not_kept(void)
{
	struct config config = { 0 };
	size_t size = 0;

	start_again();
	CHECK(load(&config));
	OWN_STR now = policy_kept_write(&config, dirs, 2, time(NULL), &size);
	OWN_STR later = policy_kept_write(&config, dirs, 2, LATER, &size);
	CHECK(!now);
	CHECK(later != NULL);
	config_free(&config);
}

static void half_a_file_or_another_byte_is_nothing(void)
{
	size_t size = 0;
	OWN_STR bytes = kept(&size);

	CHECK(bytes && still_holds(bytes, size));
	for (size_t n = 0; bytes && n < size; n++) {
		if (still_holds(bytes, n))
			test_fail(__FILE__, __LINE__, "the first %zu bytes are taken for all", n);
		bytes[n] ^= 1;
		if (still_holds(bytes, size))
			test_fail(__FILE__, __LINE__, "byte %zu may be another", n);
		bytes[n] ^= 1;
	}
}

int main(void)
{
	if (!dir_begin())
		return 0;
	snprintf(vendor, sizeof(vendor), "%s", dir_path("vendor/loginbox.d"));
	snprintf(site, sizeof(site), "%s", dir_path("conf/loginbox.d"));
	dirs[0] = vendor;
	dirs[1] = site;
	start_again();
	RUN(what_is_kept_is_what_was_read);
	RUN(after_any_change_it_is_read_again);
	RUN(a_file_that_is_made_later_is_seen);
	RUN(what_has_just_changed_is_not_kept);
	RUN(half_a_file_or_another_byte_is_nothing);
	dir_end();
	return test_end();
}
