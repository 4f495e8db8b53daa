#include "helper/policy/plan_hash.h"

#include <stdio.h>
#include <string.h>

typedef unsigned __int128 hash;

/* FNV-1a with 128 bits: the offset basis and the prime 2^88 + 2^8 + 0x3b. */
#define BASIS ((hash)0x6c62272e07bb0142ull << 64 | 0x62b821756295c58dull)
#define PRIME ((hash)1 << 88 | 0x13b)

static void add_bytes(hash *h, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		*h = (*h ^ bytes[i]) * PRIME;
}

static void add_number(hash *h, uint64_t number)
{
	add_bytes(h, &number, sizeof(number));
}

/* With its length, so that "ab" "c" is not "a" "bc". */
static void add_text(hash *h, const char *s)
{
	add_number(h, strlen(s));
	add_bytes(h, s, strlen(s));
}

static void add_step(hash *h, const struct step *step)
{
	add_number(h, step->op);
	add_text(h, step->target);
	add_text(h, step->source);
	add_number(h, step->attr);
	add_number(h, step->size);
	add_number(h, step->mode);
	add_number(h, step->dev);
	add_number(h, step->flags);
	add_number(h, step->uid);
	add_number(h, step->gid);
}

/* What the box is. */
static void add_box(hash *h, const struct plan *plan)
{
	add_text(h, plan->box);
	add_text(h, plan->keep_dir);
	add_number(h, plan->follows_host);
	add_number(h, plan->carry);
	add_number(h, plan->account->uid);
	add_number(h, plan->share_user);
	add_number(h, plan->nested);
	add_number(h, plan->namespaces);
	add_text(h, plan->hostname);
	add_text(h, plan->domainname);
	add_number(h, plan->loopback);
	if (plan->net == PLAN_NET_PATH)
		add_text(h, plan->net_path);
	if (plan->net == PLAN_NET_NAMED) {
		/* The group is of the network's whole text. */
		add_text(h, plan->network.name);
		add_number(h, plan->network.group);
	}
	add_number(h, plan->log_socket);
	add_number(h, plan->leftover_keep);
	add_number(h, plan->leftover_ms);
	add_number(h, plan->session_max_ms);
	add_number(h, plan->n_steps);
	for (size_t i = 0; i < plan->n_steps; i++)
		add_step(h, &plan->steps[i]);
}

/* What its sessions may use. */
static void add_limits(hash *h, const struct plan *plan)
{
	for (size_t i = 0; i < PLAN_LIMITS; i++) {
		add_number(h, plan->limits[i].set);
		add_number(h, plan->limits[i].soft);
		add_number(h, plan->limits[i].hard);
	}
	add_number(h, (uint64_t)plan->score);
	add_number(h, plan->pinned);
	add_bytes(h, &plan->cpus, sizeof(plan->cpus));
	for (size_t i = 0; i < CGROUP_KEYS; i++) {
		add_number(h, plan->cgroup.set[i]);
		add_number(h, plan->cgroup.at[i]);
	}
	for (size_t i = 0; i < plan->cgroup.n_rates; i++)
		add_bytes(h, &plan->cgroup.rates[i], sizeof(plan->cgroup.rates[i]));
	add_number(h, plan->limit_per_session);
}

/* What they may do. */
static void add_privileges(hash *h, const struct plan *plan)
{
	add_number(h, plan->capabilities);
	add_number(h, plan->ambient);
	add_number(h, plan->landlock);
	add_text(h, plan->apparmor);
	add_text(h, plan->selinux);
	add_number(h, plan->n_groups);
	for (size_t i = 0; i < plan->n_groups; i++)
		add_number(h, plan->groups[i]);
	add_number(h, plan->umask_set ? plan->umask : 01000);
	add_bytes(h, plan->env, plan->env_size);
	add_number(h, plan->no_new_privs);
	add_text(h, plan->uid_map ? plan->uid_map : "");
	add_text(h, plan->gid_map ? plan->gid_map : "");
	add_number(h, plan->userns_setgroups);
	add_number(h, plan->filter);
	add_text(h, plan->profile ? plan->profile : "");
}

/*
 * Not in it: rule, verdict, time-outs, home (a session's); the account but for its uid, because
 * boxes are looked for below the uid anyway. Limits, capabilities and no_new_privs are a
 * session's too, but a strict rule must not join a lax box: they count.
 */
void plan_hash(struct plan *plan)
{
	hash h = BASIS;

	add_box(&h, plan);
	add_limits(&h, plan);
	add_privileges(&h, plan);
	/* In the marker of the box, for a last exec. */
	add_text(&h, plan->shell);
	add_text(&h, plan->workdir_first ? plan->workdir : "");
	snprintf(plan->hash, sizeof(plan->hash), "%016llx%016llx", (unsigned long long)(h >> 64),
		(unsigned long long)h);
}
