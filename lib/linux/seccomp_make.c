#include "lib/linux/seccomp_make.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIBRARY "libseccomp.so.2"
#define NUMBERS_MAX 4096 /* above every number that a system call has */

/* The functions of libseccomp that are used here, found when it is loaded. */
struct library {
	__typeof__(&seccomp_init) init;
	__typeof__(&seccomp_release) release;
	__typeof__(&seccomp_attr_set) attr_set;
	__typeof__(&seccomp_arch_add) arch_add;
	__typeof__(&seccomp_rule_add_array) rule_add;
	__typeof__(&seccomp_syscall_resolve_name) number_of;
	__typeof__(&seccomp_syscall_resolve_num_arch) name_of;
	__typeof__(&seccomp_export_bpf) export;
};

struct maker {
	struct library lib;
	scmp_filter_ctx ctx;
	uint32_t usual; /* what happens to a call that no rule names */
	const struct seccomp_profile *profile;
	/* Each call that a line of the profile names, once. */
	struct named { int number; uint32_t action; unsigned line; } *named;
	size_t n_named;
	bool kills;
	struct fail *f;
};

/* ---- the deny list ---------------------------------------------------------------------- */

/* The kernel itself and the machine: nothing that a login has any business with. */
static const char *const denied[] = {
	/* modules, another kernel */
	"init_module", "finit_module", "delete_module", "create_module", "get_kernel_syms",
	"query_module", "kexec_load", "kexec_file_load",
	/* programs inside the kernel, and ways to stop or watch it at will */
	"bpf", "perf_event_open", "userfaultfd", "lookup_dcookie",
	/* a file by its number: around every directory and every mount */
	"open_by_handle_at",
	/* the kernel's keyrings; see keyctl below */
	"add_key", "request_key",
	/* the machine's state */
	"reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "nfsservctl",
	"settimeofday", "clock_settime", "stime", "iopl", "ioperm", "vm86", "vm86old", "uselib",
	"_sysctl",
};

/* keyctl(2): what pam_keyinit(8) and the module's own close use stays. */
static const unsigned keyctl_denied[] = { KEYCTL_UPDATE, KEYCTL_CHOWN, KEYCTL_SETPERM,
	KEYCTL_DESCRIBE, KEYCTL_CLEAR };
#define KEYCTL_LAST_ALLOWED KEYCTL_LINK

/*
 * Typing into a terminal, and making one deaf and dumb, which may be the caller's. The kernel
 * looks at 32 bits of the request, and so must we.
 */
static const unsigned ioctl_denied[] = { TIOCSTI, TIOCLINUX, TIOCSETD };

static int add(struct maker *m, uint32_t action, const char *name, const struct scmp_arg_cmp *cmp)
{
	int number = m->lib.number_of(name);

	/* Not known to this library: such numbers answer ENOSYS anyway. */
	if (number == __NR_SCMP_ERROR || action == m->usual)
		return 0;
	int err = m->lib.rule_add(m->ctx, action, number, cmp != NULL, cmp);
	return err < 0 ? fail_err(m->f, -err, "compile the filter of system calls", name) : 0;
}

static int add_deny_list(struct maker *m)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	struct scmp_arg_cmp cmp = { .arg = 0, .op = SCMP_CMP_EQ };

	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (add(m, no, denied[i], NULL) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(keyctl_denied) / sizeof(keyctl_denied[0]); i++) {
		cmp.datum_a = keyctl_denied[i];
		if (add(m, no, "keyctl", &cmp) < 0)
			return -1;
	}
	cmp = (struct scmp_arg_cmp){ .op = SCMP_CMP_GT, .datum_a = KEYCTL_LAST_ALLOWED };
	if (add(m, no, "keyctl", &cmp) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(ioctl_denied) / sizeof(ioctl_denied[0]); i++) {
		cmp = (struct scmp_arg_cmp){ .arg = 1,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = UINT32_MAX,
			.datum_b = ioctl_denied[i] };
		if (add(m, no, "ioctl", &cmp) < 0)
			return -1;
	}
	return 0;
}

/* clone3 hides its flags behind a pointer, which no filter can follow; libc falls back. */
static int add_no_userns(struct maker *m)
{
	const struct scmp_arg_cmp flag = { .arg = 0,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = CLONE_NEWUSER,
		.datum_b = CLONE_NEWUSER };

	if (add(m, SCMP_ACT_ERRNO(EPERM), "unshare", &flag) < 0 ||
		add(m, SCMP_ACT_ERRNO(EPERM), "clone", &flag) < 0)
		return -1;
	return add(m, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL);
}

/* ---- a profile -------------------------------------------------------------------------- */

/* The module's close: it must be possible to leave. */
static const char *const always[] = { "setns", "sendmsg", "recvmsg", "poll", "ppoll", "fchdir",
	"chdir", "close", "fcntl", "fstat", "newfstatat", "getpid", "clock_gettime", "exit",
	"exit_group", "rt_sigreturn", "rt_sigaction", "rt_sigprocmask", "execve" };

/* How a program that gained root's rights gives them up, in both entries. */
static const char *const giving_up[] = { "setuid", "setgid", "setreuid", "setregid", "setresuid",
	"setresgid", "setfsuid", "setfsgid", "setgroups", "setuid32", "setgid32", "setreuid32",
	"setregid32", "setresuid32", "setresgid32", "setfsuid32", "setfsgid32", "setgroups32",
	"capset", "prctl", "chroot" };

/* The last exec itself, what comes after it in any program, and another helper's filter. */
static const char *const at_exec[] = { "execve", "exit", "exit_group", "rt_sigreturn", "seccomp" };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define KILL "kill"
#define NO_ACTION "is no action: allow, EPERM, EACCES, ENOSYS, EINVAL, kill"

static bool read_action(const char *word, uint32_t *out)
{
	static const struct {
		const char *name;
		int err;
	} errors[] = { { "EPERM", EPERM }, { "EACCES", EACCES }, { "ENOSYS", ENOSYS },
		{ "EINVAL", EINVAL } };

	*out = SCMP_ACT_ALLOW;
	if (strcmp(word, "allow") == 0)
		return true;
	*out = SCMP_ACT_KILL_PROCESS;
	if (strcmp(word, KILL) == 0)
		return true;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(word, errors[i].name) == 0) {
			*out = SCMP_ACT_ERRNO((uint32_t)errors[i].err);
			return true;
		}
	return false;
}

static bool is_one_of(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static bool gives_up(const struct maker *m, const char *name)
{
	return m->profile->gains && is_one_of(giving_up, COUNT(giving_up), name);
}

static bool is_always(const struct maker *m, const char *name)
{
	if (m->kills && is_one_of(at_exec, COUNT(at_exec), name))
		return true;
	return !m->profile->last &&
		(is_one_of(always, COUNT(always), name) || gives_up(m, name));
}

struct profile_line {
	const char *file;
	unsigned number;
	char *rest; /* after the first word */
	uint32_t action;
};

static int wrong(struct maker *m, const struct profile_line *line, const char *word, const char *why)
{
	char at[256];

	snprintf(at, sizeof(at), "%.200s:%u", line->file, line->number);
	return fail_say(m->f, FAIL_POLICY, "read the profile", at, "'%.80s' %s", word, why);
}

/* Why no line with this action may name the call; NULL: it may. */
static const char *why_not(const struct maker *m, uint32_t action, const char *name)
{
	if (m->lib.number_of(name) == __NR_SCMP_ERROR)
		return "is no system call that libseccomp knows";
	if (action == SCMP_ACT_ALLOW)
		return NULL;
	if (m->kills && is_one_of(at_exec, COUNT(at_exec), name))
		return "is needed at the last exec";
	if (action == SCMP_ACT_KILL_PROCESS)
		return NULL;
	if (gives_up(m, name))
		return "is how a program gives up root, and no_new_privs is no";
	if (is_one_of(always, COUNT(always), name) || strcmp(name, "keyctl") == 0)
		return "is needed to leave the box";
	return NULL;
}

/* A call has one action, whichever of its names a line says. */
static int note_name(struct maker *m, const struct profile_line *line, const char *name)
{
	const struct named new = { m->lib.number_of(name), line->action, line->number };
	char why[64];

	for (size_t i = 0; i < m->n_named; i++) {
		if (m->named[i].number != new.number)
			continue;
		snprintf(why, sizeof(why), "has another action in line %u", m->named[i].line);
		return m->named[i].action == new.action ? 0 : wrong(m, line, name, why);
	}
	struct named *more = reallocarray(m->named, m->n_named + 1, sizeof(*more));
	if (!more)
		return fail_err(m->f, ENOMEM, "read the profile", line->file);
	more[m->n_named++] = new;
	m->named = more;
	return 0;
}

static int add_names(struct maker *m, const struct profile_line *line)
{
	/* The application would die of what it still does: only a last exec can carry it. */
	const bool add_it = m->ctx && (m->profile->last || line->action != SCMP_ACT_KILL_PROCESS);
	char *next = line->rest;
	size_t n = 0;

	for (char *name; (name = strsep(&next, " \t,"));) {
		if (!*name)
			continue;
		n++;
		const char *why = why_not(m, line->action, name);
		if (why)
			return wrong(m, line, name, why);
		if (note_name(m, line, name) < 0)
			return -1;
		if (add_it && !is_always(m, name) && add(m, line->action, name, NULL) < 0)
			return -1;
	}
	return n ? 0 : wrong(m, line, "", "stands without a system call");
}

/* A program of root's that is killed has done half of what it does. */
static int read_word(struct maker *m, const struct profile_line *line, const char *word,
	uint32_t *action)
{
	if (!read_action(word, action))
		return wrong(m, line, word, NO_ACTION);
	if (*action == SCMP_ACT_KILL_PROCESS && m->profile->gains)
		return wrong(m, line, word,
			"would end programs of root's halfway, and no_new_privs is no");
	return 0;
}

static int begin(struct maker *m, uint32_t usual);

static int read_default(struct maker *m, struct profile_line *line, bool make)
{
	char *word = line->rest + strspn(line->rest, " \t");

	if (m->usual)
		return wrong(m, line, "default", "stands twice, or after a rule");
	if (read_word(m, line, word, &m->usual) < 0)
		return -1;
	if (m->usual == SCMP_ACT_KILL_PROCESS && !m->profile->last)
		m->usual = SCMP_ACT_ALLOW;
	return make ? begin(m, m->usual) : 0;
}

static int read_line(struct maker *m, char *text, struct profile_line *line, bool make)
{
	text += strspn(text, " \t");
	for (size_t n = strlen(text); n && strchr(" \t\r", text[n - 1]); n--)
		text[n - 1] = '\0';
	if (!*text || *text == '#')
		return 0;
	line->rest = text;
	char *word = strsep(&line->rest, " \t");
	if (!line->rest)
		line->rest = word + strlen(word);
	if (strcmp(word, "default") == 0)
		return read_default(m, line, make);
	if (!m->usual)
		return wrong(m, line, word, "stands before the line 'default ACTION'");
	return read_word(m, line, word, &line->action) < 0 ? -1 : add_names(m, line);
}

/* Reads all of it; with `make` the filter begins at its first line. */
static int read_profile(struct maker *m, bool make)
{
	OWN_STR copy = strdup(m->profile->text);
	struct profile_line line = { .file = m->profile->name };

	if (!copy)
		return fail_sys(m->f, "read the profile", line.file);
	char *next = copy;
	for (char *text; (text = strsep(&next, "\n"));) {
		line.number++;
		if (read_line(m, text, &line, make) < 0)
			return -1;
	}
	return m->usual ? 0 : wrong(m, &line, "default", "is missing");
}

static int allow(struct maker *m, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (add(m, SCMP_ACT_ALLOW, names[i], NULL) < 0)
			return -1;
	return 0;
}

static int add_always(struct maker *m)
{
	static const unsigned keyctl[] = { KEYCTL_GET_KEYRING_ID, KEYCTL_JOIN_SESSION_KEYRING,
		KEYCTL_REVOKE, KEYCTL_LINK };
	struct scmp_arg_cmp cmp = { .arg = 0, .op = SCMP_CMP_EQ };

	if (m->kills && allow(m, at_exec, COUNT(at_exec)) < 0)
		return -1;
	if (m->profile->last)
		return 0;
	if (allow(m, always, COUNT(always)) < 0 ||
		(m->profile->gains && allow(m, giving_up, COUNT(giving_up)) < 0))
		return -1;
	for (size_t i = 0; i < sizeof(keyctl) / sizeof(keyctl[0]); i++) {
		cmp.datum_a = keyctl[i];
		if (add(m, SCMP_ACT_ALLOW, "keyctl", &cmp) < 0)
			return -1;
	}
	return 0;
}

/* ---- making ------------------------------------------------------------------------------ */

static int load(struct maker *m)
{
	void *lib = dlopen(LIBRARY, RTLD_NOW);

	if (!lib)
		return fail_say(m->f, FAIL_SYSTEM, "load", LIBRARY, "it is not installed");
	*(void **)&m->lib.init = dlsym(lib, "seccomp_init");
	*(void **)&m->lib.release = dlsym(lib, "seccomp_release");
	*(void **)&m->lib.attr_set = dlsym(lib, "seccomp_attr_set");
	*(void **)&m->lib.arch_add = dlsym(lib, "seccomp_arch_add");
	*(void **)&m->lib.rule_add = dlsym(lib, "seccomp_rule_add_array");
	*(void **)&m->lib.number_of = dlsym(lib, "seccomp_syscall_resolve_name");
	*(void **)&m->lib.name_of = dlsym(lib, "seccomp_syscall_resolve_num_arch");
	*(void **)&m->lib.export = dlsym(lib, "seccomp_export_bpf");
	if (!m->lib.init || !m->lib.release || !m->lib.attr_set || !m->lib.arch_add ||
		!m->lib.rule_add || !m->lib.number_of || !m->lib.name_of || !m->lib.export)
		return fail_say(m->f, FAIL_SYSTEM, "load", LIBRARY, "it lacks a function");
	return 0;
}

static int begin(struct maker *m, uint32_t usual)
{
	m->usual = usual;
	m->ctx = m->lib.init(usual);
	if (!m->ctx)
		return fail_sys(m->f, "compile the filter of system calls", "");
	int err = m->lib.attr_set(m->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (!err)
		err = m->lib.attr_set(m->ctx, SCMP_FLTATR_CTL_NNP, 0);
#ifdef __x86_64__
	if (!err)
		err = m->lib.arch_add(m->ctx, SCMP_ARCH_X86);
#endif
	return err ? fail_err(m->f, -err, "compile the filter of system calls", "") : 0;
}

static bool is_known(struct maker *m, uint32_t arch, int number)
{
	OWN_STR name = m->lib.name_of(arch, number);
	return name != NULL;
}

/* What stands before libseccomp's own program: a number that it does not know is ENOSYS. */
static size_t put_unknown(struct maker *m, struct sock_filter *out)
{
	static const struct {
		uint32_t audit, seccomp;
	} arches[] = {
#ifdef __x86_64__
		{ AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64 },
		{ AUDIT_ARCH_I386, SCMP_ARCH_X86 },
#elif defined(__aarch64__)
		{ AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64 },
#endif
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
		unsigned last = NUMBERS_MAX;
		while (last && !is_known(m, arches[i].seccomp, (int)last))
			last--;
		const struct sock_filter block[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arches[i].audit, 0, 3),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		};
		memcpy(out + n, block, sizeof(block));
		n += sizeof(block) / sizeof(block[0]);
	}
	return n;
}

static int export(struct maker *m, struct sock_filter *out, size_t room, size_t *n)
{
	OWN_FD file = memfd_create("filter", MFD_CLOEXEC);
	int err = file < 0 ? -errno : m->lib.export(m->ctx, file);

	if (err < 0)
		return fail_err(m->f, -err, "compile the filter of system calls", "");
	*n = put_unknown(m, out);
	ssize_t size = pread(file, out + *n, (room - *n) * sizeof(*out), 0);
	if (size <= 0 || (size_t)size == (room - *n) * sizeof(*out))
		return fail_err(m->f, E2BIG, "compile the filter of system calls", "");
	*n += (size_t)size / sizeof(*out);
	return 0;
}

int seccomp_compile(unsigned parts, struct sock_filter *out, size_t room, size_t *n,
	struct fail *f)
{
	struct maker m = { .f = f };
	int result = load(&m);

	if (result == 0)
		result = begin(&m, SCMP_ACT_ALLOW);
	if (result == 0 && (parts & SECCOMP_DENY_LIST))
		result = add_deny_list(&m);
	if (result == 0 && (parts & SECCOMP_NO_USERNS))
		result = add_no_userns(&m);
	if (result == 0)
		result = export(&m, out, room, n);
	if (m.ctx)
		m.lib.release(m.ctx);
	return result;
}

bool seccomp_profile_kills(const char *text)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n \t");
		const char *word = line;
		size_t n = strcspn(word, " \t\r\n");
		if (n == strlen("default") && strncmp(word, "default", n) == 0) {
			word += n + strspn(word + n, " \t");
			n = strcspn(word, " \t\r\n");
		}
		if (n == strlen(KILL) && strncmp(word, KILL, n) == 0)
			return true;
	}
	return false;
}

int seccomp_compile_profile(const struct seccomp_profile *profile, struct sock_filter *out,
	size_t room, size_t *n, struct fail *f)
{
	struct maker m = { .f = f, .profile = profile, .kills = seccomp_profile_kills(profile->text) };
	int result = load(&m);

	if (result == 0)
		result = read_profile(&m, out != NULL);
	if (result == 0 && out)
		result = add_always(&m) < 0 ? -1 : export(&m, out, room, n);
	free(m.named);
	if (m.ctx)
		m.lib.release(m.ctx);
	return result;
}
