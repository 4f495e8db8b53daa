#include "lib/linux/devices.h"

#include "lib/base/fdio.h"
#include "lib/base/text.h"
#include "lib/linux/cgroup_parts.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STEP "rule devices"
#define INSNS_EACH 5
#define PROGRAMS_MOST 64 /* on one group */

bool devices_add(struct devices *list, bool block, unsigned major, unsigned minor)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->at[i].block == block && list->at[i].major == major &&
			list->at[i].minor == minor)
			return true;
	if (list->n == DEVICES_MOST)
		return false;
	list->at[list->n++] = (struct device_rule){ block, major, minor };
	return true;
}

/* ---- v1 ------------------------------------------------------------------------------------ */

static void put_rule(const struct device_rule *rule, char *out, size_t size)
{
	struct text t = text_in(out, size);

	text_add(&t, "%c %u:", rule->block ? 'b' : 'c', rule->major);
	if (rule->minor == DEVICES_ANY)
		text_add(&t, "* rwm");
	else
		text_add(&t, "%u rwm", rule->minor);
}

int devices_v1_allow(int group, const struct device_rule *rule, struct fail *f)
{
	char line[48];

	put_rule(rule, line, sizeof(line));
	return cgroup_write(group, "devices.allow", line) < 0 ? fail_sys(f, STEP, line) : 0;
}

static bool is_ours(const char *line, const struct devices *list)
{
	char own[48];

	for (size_t i = 0; i < list->n; i++) {
		put_rule(&list->at[i], own, sizeof(own));
		if (strcmp(line, own) == 0)
			return true;
	}
	return false;
}

int devices_v1_set(int group, const struct devices *list, struct fail *f)
{
	char seen[DEVICES_MOST * 32];
	size_t n = 0;

	if (cgroup_write(group, "devices.deny", "a") < 0)
		return fail_sys(f, STEP, "devices.deny");
	for (size_t i = 0; i < list->n; i++)
		if (devices_v1_allow(group, &list->at[i], f) < 0)
			return -1;
	if (fdio_read_at(group, "devices.list", seen, sizeof(seen)) < 0)
		return fail_sys(f, "read back", "devices.list");
	char *next = seen;
	for (char *line; (line = strsep(&next, "\n"));) {
		if (*line && !is_ours(line, list))
			return fail_say(f, FAIL_SYSTEM, STEP, line, "the kernel allows it as well");
		n += *line != '\0';
	}
	return n == list->n ? 0
			    : fail_say(f, FAIL_SYSTEM, STEP, "", "the kernel holds %zu of %zu", n,
				      list->n);
}

/* ---- v2 ------------------------------------------------------------------------------------ */

static int bpf(int what, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, what, attr, sizeof(*attr));
}

/* r`to` = the 32-bit word at `offset` of what the kernel asks about, which r1 points to. */
static struct bpf_insn load(int to, size_t offset)
{
	return (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W,
		.dst_reg = to & 15,
		.src_reg = BPF_REG_1,
		.off = (int16_t)offset };
}

static struct bpf_insn unless(int reg, unsigned value, int skip)
{
	return (struct bpf_insn){ .code = BPF_JMP32 | BPF_JNE | BPF_K,
		.dst_reg = reg & 15,
		.off = (int16_t)skip,
		.imm = (int)value };
}

static struct bpf_insn answer(int yes)
{
	return (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = yes
	};
}

static const struct bpf_insn leave = { .code = BPF_JMP | BPF_EXIT };

/* r2 its kind, r3 and r4 its numbers; the first rule that fits says yes. */
static size_t write_program(struct bpf_insn *out, const struct devices *list)
{
	size_t n = 0;

	out[n++] = load(BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	out[n++] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_2, .imm = 0xffff
	};
	out[n++] = load(BPF_REG_3, offsetof(struct bpf_cgroup_dev_ctx, major));
	out[n++] = load(BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, minor));
	for (size_t i = 0; i < list->n; i++) {
		const struct device_rule *rule = &list->at[i];
		bool any = rule->minor == DEVICES_ANY;
		out[n++] = unless(BPF_REG_2, rule->block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
			any ? 3 : 4);
		out[n++] = unless(BPF_REG_3, rule->major, any ? 2 : 3);
		if (!any)
			out[n++] = unless(BPF_REG_4, rule->minor, 2);
		out[n++] = answer(1);
		out[n++] = leave;
	}
	out[n++] = answer(0);
	out[n++] = leave;
	return n;
}

int devices_program(const struct devices *list, struct fail *f)
{
	struct bpf_insn *insns = calloc(list->n * INSNS_EACH + 6, sizeof(*insns));
	union bpf_attr attr;

	if (!insns)
		return fail_err(f, ENOMEM, STEP, "");
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)write_program(insns, list);
	attr.license = (uint64_t)(uintptr_t) "";
	memcpy(attr.prog_name, "loginbox", sizeof("loginbox"));
	int program = bpf(BPF_PROG_LOAD, &attr);
	int err = errno;
	free(insns);
	return program < 0 ? fail_err(f, err, STEP, "BPF_PROG_LOAD") : program;
}

static bool is_attached(int group, int program)
{
	struct bpf_prog_info info;
	uint32_t ids[PROGRAMS_MOST];
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
		return false;
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)group;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MOST;
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return false;
	for (uint32_t i = 0; i < attr.query.prog_cnt; i++)
		if (ids[i] == info.id)
			return true;
	return false;
}

int devices_attach(int group, int program, int before, struct fail *f)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)group;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (before >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)before;
	}
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return fail_sys(f, STEP, "BPF_PROG_ATTACH");
	if (!is_attached(group, program))
		return fail_say(f, FAIL_SYSTEM, STEP, "", "the kernel does not show the program");
	return 0;
}

void devices_detach(int group, int program)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)group;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	bpf(BPF_PROG_DETACH, &attr);
}
