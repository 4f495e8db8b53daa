/*
 * filters: prints the default filters of system calls as C, for lib/linux/seccomp_default.h.
 * Runs while the product is built: no login compiles a filter that is always the same.
 */
#include "lib/linux/seccomp_make.h"

#include <stdio.h>

static int print(unsigned parts)
{
	struct fail f = { 0 };
	struct sock_filter code[SECCOMP_MOST];
	char words[700];
	size_t n;

	if (seccomp_compile(parts, code, SECCOMP_MOST, &n, &f) < 0) {
		fprintf(stderr, "filters: %s\n", fail_word(&f, words, sizeof(words)));
		return -1;
	}
	printf("static const struct sock_filter filter_%u[] = {\n", parts);
	for (size_t i = 0; i < n; i++)
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt, code[i].jf,
			code[i].k);
	printf("};\n");
	return 0;
}

int main(void)
{
	const unsigned both = SECCOMP_DENY_LIST | SECCOMP_NO_USERNS;

	printf("#include \"lib/linux/seccomp_default.h\"\n\n");
	if (print(SECCOMP_DENY_LIST) < 0 || print(SECCOMP_NO_USERNS) < 0 || print(both) < 0)
		return 1;
	printf("const struct seccomp_program seccomp_defaults[] = {\n");
	for (unsigned parts = 1; parts <= both; parts++)
		printf("\t[%u] = { filter_%u, sizeof(filter_%u) / sizeof(filter_%u[0]) },\n", parts,
			parts, parts, parts);
	printf("};\n");
	return 0;
}
