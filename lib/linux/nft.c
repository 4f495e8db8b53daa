#include "lib/linux/nft.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/netlink.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARY "libnftables.so.1"
#define STEP "set packet filter"

/* ---- changing -------------------------------------------------------------------------- */

struct library {
	struct nft_ctx *(*make)(uint32_t flags);
	int (*buffer_error)(struct nft_ctx *ctx);
	int (*run)(struct nft_ctx *ctx, const char *commands);
	const char *(*error)(struct nft_ctx *ctx);
};

static int load(struct library *lib, struct fail *f)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return fail_say(f, FAIL_SYSTEM, STEP, LIBRARY, "the library is not installed");
	static const char *const names[] = { "nft_ctx_new", "nft_ctx_buffer_error",
		"nft_run_cmd_from_buffer", "nft_ctx_get_error_buffer" };
	void *found[4];
	for (size_t i = 0; i < 4; i++)
		if (!(found[i] = dlsym(handle, names[i])))
			return fail_say(f, FAIL_SYSTEM, STEP, LIBRARY, "the library lacks %s", names[i]);
	/* POSIX gives functions as object pointers. */
	memcpy(&lib->make, &found[0], sizeof(found[0]));
	memcpy(&lib->buffer_error, &found[1], sizeof(found[0]));
	memcpy(&lib->run, &found[2], sizeof(found[0]));
	memcpy(&lib->error, &found[3], sizeof(found[0]));
	return 0;
}

static int run_here(const char *commands, struct fail *f)
{
	struct library lib = { 0 };

	if (load(&lib, f) < 0)
		return -1;
	struct nft_ctx *ctx = lib.make(NFT_CTX_DEFAULT);
	if (!ctx || lib.buffer_error(ctx) != 0)
		return fail_err(f, ENOMEM, STEP, "");
	if (lib.run(ctx, commands) == 0)
		return 0;
	/* The library repeats the command below its first line. */
	char line[200];
	struct text t = text_in(line, sizeof(line));
	const char *error = lib.error(ctx);
	text_add(&t, "%.*s", (int)strcspn(error, "\n"), error);
	return fail_say(f, FAIL_SYSTEM, STEP, "", "%s", *line ? line : "refused");
}

static void __attribute__((noreturn)) run_in_child(const char *commands, int answer)
{
	struct fail f = FAIL_BY("keeper");

	run_here(commands, &f);
	_exit(fdio_write_all(answer, &f, sizeof(f)) < 0);
}

int nft_run(const char *commands, struct fail *f)
{
	struct fail cause = { 0 };
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return fail_sys(f, STEP, "");
	OWN_FD hear = pair[0];
	OWN_FD answer = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return fail_sys(f, STEP, "");
	if (pid == 0)
		run_in_child(commands, answer);
	own_fd_close(&answer);
	ssize_t n = 0;
	size_t got = 0;
	while (got < sizeof(cause) &&
		((n = read(hear, (char *)&cause + got, sizeof(cause) - got)) > 0 ||
			(n < 0 && errno == EINTR)))
		got += n > 0 ? (size_t)n : 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (got != sizeof(cause))
		return fail_say(f, FAIL_SYSTEM, STEP, "", "what was to set it died");
	if (!fail_is_set(&cause))
		return 0;
	if (!fail_is_set(f)) {
		cause.who[0] = '\0';
		memcpy(cause.who, f->who, sizeof(cause.who));
		*f = cause;
	}
	return -1;
}

/* ---- elements -------------------------------------------------------------------------- */

static void frame(struct netlink_batch *batch, int type)
{
	struct nfgenmsg head = { .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	netlink_request(batch, type, 0, &head, sizeof(head), STEP, "");
	netlink_quiet(batch);
}

static void put_element(struct netlink_batch *batch, int kind, int flags,
	const struct nft_element *element)
{
	struct nfgenmsg head = { .nfgen_family = (uint8_t)element->family,
		.version = NFNETLINK_V0 };

	netlink_request(batch, NFNL_SUBSYS_NFTABLES << 8 | kind, flags, &head, sizeof(head), STEP,
		element->set);
	netlink_put_text(batch, NFTA_SET_ELEM_LIST_TABLE, element->table);
	netlink_put_text(batch, NFTA_SET_ELEM_LIST_SET, element->set);
	struct nlattr *all = netlink_nest(batch, NFTA_SET_ELEM_LIST_ELEMENTS, NULL, 0);
	struct nlattr *one = netlink_nest(batch, NFTA_LIST_ELEM, NULL, 0);
	struct nlattr *key = netlink_nest(batch, NFTA_SET_ELEM_KEY, NULL, 0);
	netlink_put(batch, NFTA_DATA_VALUE, element->key, element->size);
	netlink_nest_end(batch, key);
	netlink_nest_end(batch, one);
	netlink_nest_end(batch, all);
}

static int change(const struct nft_element *elements, size_t n, int kind, int flags,
	struct fail *f)
{
	struct netlink_batch batch = { 0 };
	OWN_NETLINK sock = NULL;

	if (netlink_open(&sock, NETLINK_NETFILTER, f) < 0)
		return -1;
	frame(&batch, NFNL_MSG_BATCH_BEGIN);
	for (size_t i = 0; i < n; i++)
		put_element(&batch, kind, flags, &elements[i]);
	frame(&batch, NFNL_MSG_BATCH_END);
	return netlink_send(sock, &batch, f);
}

int nft_add_elements(const struct nft_element *elements, size_t n, struct fail *f)
{
	return change(elements, n, NFT_MSG_NEWSETELEM, NLM_F_CREATE, f);
}

int nft_remove_elements(const struct nft_element *elements, size_t n, struct fail *f)
{
	return change(elements, n, NFT_MSG_DELSETELEM, 0, f);
}

/* ---- asking ------------------------------------------------------------------------------ */

bool nft_read_chain(struct nft_seen *out, const struct nlmsghdr *message)
{
	int left = (int)message->nlmsg_len - (int)NLMSG_SPACE(sizeof(struct nfgenmsg));
	struct nlattr *a = (struct nlattr *)((char *)(uintptr_t)message +
		NLMSG_SPACE(sizeof(struct nfgenmsg)));

	*out = (struct nft_seen){ 0 };
	if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) || left < 0)
		return false;
	for (; nla_ok(a, left); a = nla_next(a, &left)) {
		if (nla_type(a) == NFTA_CHAIN_NAME)
			nla_strlcpy(out->name, a, sizeof(out->name));
		else if (nla_type(a) == NFTA_CHAIN_USE && nla_len(a) == (int)sizeof(uint32_t))
			out->use = ntohl(nla_get_u32(a));
	}
	return out->name[0];
}

static void ask_chains(struct netlink_batch *batch, int flags, int family, const char *table,
	const char *chain)
{
	struct nfgenmsg head = { .nfgen_family = (uint8_t)family, .version = NFNETLINK_V0 };

	netlink_request(batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, flags, &head,
		sizeof(head), "look at packet filter", table);
	netlink_put_text(batch, NFTA_CHAIN_TABLE, table);
	if (chain)
		netlink_put_text(batch, NFTA_CHAIN_NAME, chain);
}

struct count {
	const struct nft_chain *chains;
	size_t n, good;
};

static int count_chain(const struct nlmsghdr *message, void *arg, struct fail *f)
{
	struct count *count = arg;
	struct nft_seen seen;

	(void)f;
	for (size_t i = 0; nft_read_chain(&seen, message) && i < count->n; i++)
		count->good += strcmp(seen.name, count->chains[i].chain) == 0 &&
			seen.use == count->chains[i].rules;
	return 0;
}

int nft_has_chains(const struct nft_chain *chains, size_t n, struct fail *f)
{
	struct netlink_batch batch = { 0 };
	struct count count = { chains, n, 0 };
	OWN_NETLINK sock = NULL;

	if (netlink_open(&sock, NETLINK_NETFILTER, f) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		ask_chains(&batch, 0, chains[i].family, chains[i].table, chains[i].chain);
		netlink_pardon(&batch, ENOENT);
	}
	if (netlink_ask(sock, &batch, count_chain, &count, f) < 0)
		return -1;
	return count.good == n;
}

struct walk {
	void (*each)(const char *chain, void *arg);
	void *arg;
	const char *table;
};

static int visit_chain(const struct nlmsghdr *message, void *arg, struct fail *f)
{
	struct walk *walk = arg;
	struct nft_seen seen;
	struct nlattr *table = nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)message,
		sizeof(struct nfgenmsg), NFTA_CHAIN_TABLE);

	(void)f;
	/* The kernel's list is of the whole family. */
	if (table && nla_strcmp(table, walk->table) == 0 && nft_read_chain(&seen, message))
		walk->each(seen.name, walk->arg);
	return 0;
}

int nft_each_chain(int family, const char *table, void (*each)(const char *chain, void *arg),
	void *arg, struct fail *f)
{
	struct netlink_batch batch = { 0 };
	struct walk walk = { each, arg, table };
	OWN_NETLINK sock = NULL;

	if (netlink_open(&sock, NETLINK_NETFILTER, f) < 0)
		return -1;
	ask_chains(&batch, NLM_F_DUMP, family, table, NULL);
	netlink_pardon(&batch, ENOENT);
	return netlink_ask(sock, &batch, visit_chain, &walk, f);
}
