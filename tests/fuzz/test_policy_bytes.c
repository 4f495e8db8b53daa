/*
 * Any bytes as a policy file: read, or refused with one line, and nothing else. What is
 * read is tried on one login as well.
 *
 * With clang and -fsanitize=fuzzer this is a libFuzzer target; without, it runs the files
 * and folders of its command line once each (a corpus of fixed inputs).
 */
#include "helper/policy/match.h"
#include "helper/policy/policy.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void match_all(const struct policy *policy)
{
	char *names[] = { "users", NULL };
	gid_t gids[] = { 100, 101 };
	struct request request = {
		.account = { .name = "alice", .uid = 1004, .gid = 100, .home = "/home/alice",
			.shell = "/bin/sh", .groups = gids, .n_groups = 2, .group_names = names },
		.service = "sshd",
		.rhost = "10.0.0.7",
		.ruser = "root",
		.tty = "",
	};
	char why[64];

	match_exempt(policy, &request.account, why, sizeof(why));
	for (size_t i = 0; i < policy->n_rules; i++)
		match_rule(policy->rules[i], &request, why, sizeof(why));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct config config = { 0 };
	struct policy *policy = NULL;
	struct fail f = { 0 };
	char words[700];
	OWN_FD fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	if (config_add(&config, fd, "FILE", true, &f) == 0 && policy_make(&policy, &config, &f) == 0)
		match_all(policy);
	/* Everything that is refused is refused with a place, and never by a difference. */
	fail_word(&f, words, sizeof(words));
	if (!policy && (f.kind != FAIL_POLICY || text_starts(f.rule, "the parser ")))
		abort();
	config_free(&config);
	policy_free(policy);
	return 0;
}

#ifndef WITH_LIBFUZZER

static size_t n_inputs;

static void run_file(const char *path)
{
	size_t size = 2 << 20;
	OWN_STR bytes = malloc(size);
	OWN_FILE file = fopen(path, "re");

	if (!file || !bytes)
		abort();
	LLVMFuzzerTestOneInput((uint8_t *)bytes, fread(bytes, 1, size, file));
	n_inputs++;
}

static void run_path(const char *path)
{
	char name[4096];
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir) {
		run_file(path);
		return;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		run_file(name);
	}
	closedir(dir);
}

/* Each policy of the tests, cut and with bytes changed at every place that matters. */
static void run_changed(const char *path)
{
	static const char changes[] = "\n\t\"'\\;#=:[].,%!\x00\x7f\xc2 A-*/0";
	char text[8192];
	OWN_FILE file = fopen(path, "re");
	size_t n = file ? fread(text, 1, sizeof(text), file) : 0;
	const char *scale = getenv("COUNT_SCALE");
	size_t step = scale && strcmp(scale, "0") == 0 ? 1 : 13;

	for (size_t at = 0; at < n; at += step) {
		char kept = text[at];
		LLVMFuzzerTestOneInput((uint8_t *)text, at);
		for (size_t c = 0; c < sizeof(changes) - 1; c++) {
			text[at] = changes[c];
			LLVMFuzzerTestOneInput((uint8_t *)text, n);
			n_inputs++;
		}
		text[at] = kept;
	}
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			run_path(argv[i]);
	} else {
		run_path("tests/config/bad");
		run_path("tests/config/good");
		run_path("tests/fuzz/corpus");
		run_changed("tests/config/good/everything.conf");
	}
	printf("%zu inputs\nok any_bytes_are_read_or_refused_as_a_policy\n", n_inputs);
	return 0;
}

#endif
