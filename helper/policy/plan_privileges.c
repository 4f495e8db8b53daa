#include "helper/policy/plan_privileges.h"

#include "helper/policy/plan_limits.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/label.h"
#include "lib/linux/path.h"
#include "lib/linux/seccomp_make.h"

#include <string.h>

#define PROFILE_MAX 65536

static const struct setting *get(const struct box *box, enum key_id key)
{
	return box->all.by_key[key];
}

static bool is_word(const struct box *box, enum key_id key, const char *word)
{
	return strcmp(get(box, key)->text, word) == 0;
}

static int read_profile(struct plan *plan, const char *path, struct fail *f)
{
	OWN_FD fd = -1;
	OWN_STR text = NULL;

	if (path_open_file(&fd, path, f) < 0)
		return -1;
	text = calloc(1, PROFILE_MAX + 1);
	if (!text)
		return fail_err(f, ENOMEM, "read the profile", path);
	ssize_t n = read(fd, text, PROFILE_MAX + 1);
	if (n < 0)
		return fail_sys(f, "read the profile", path);
	if (n > PROFILE_MAX || memchr(text, '\0', (size_t)n))
		return fail_say(f, FAIL_POLICY, "read the profile", path,
			"it is larger than 64 KiB, or no text");
	plan->profile = take_str(&text);
	plan->kills = seccomp_profile_kills(plan->profile);
	plan->profile_name = strdup(path);
	return plan->profile_name ? 0 : fail_err(f, ENOMEM, "read the profile", path);
}

static int fill_filter(struct plan *plan, const struct box *box, struct fail *f)
{
	const char *seccomp = get(box, KEY_SECCOMP)->text;

	if (strcmp(seccomp, "default") == 0)
		plan->filter |= SECCOMP_DENY_LIST;
	if (is_word(box, KEY_USER_NAMESPACES, "no"))
		plan->filter |= SECCOMP_NO_USERNS;
	return *seccomp == '/' ? read_profile(plan, seccomp, f) : 0;
}

/* A label that is named and not there is a refusal: nobody is let in with less. */
static int read_label(enum label_kind kind, const struct setting *s, char *out, size_t size,
	struct fail *f)
{
	if (strcmp(s->text, "inherited") == 0)
		return 0;
	if (!text_copy(out, size, s->text))
		return fail_say(f, FAIL_REFUSED, "take on label", s->text, "it is too long");
	return label_check(kind, s->text, f);
}

static int fill_labels(struct plan *plan, const struct box *box, struct fail *f)
{
	if (read_label(LABEL_APPARMOR, get(box, KEY_APPARMOR), plan->apparmor,
		    sizeof(plan->apparmor), f) < 0)
		return -1;
	return read_label(LABEL_SELINUX, get(box, KEY_SELINUX), plan->selinux,
		sizeof(plan->selinux), f);
}

int plan_labels_check(const struct box *box, struct fail *f)
{
	struct plan plan = { 0 };

	return fill_labels(&plan, box, f);
}

int plan_privileges(struct plan *plan, const struct box *box, const struct request *request,
	struct fail *f)
{
	plan->no_new_privs = is_word(box, KEY_NO_NEW_PRIVS, "yes");
	plan->capabilities = get(box, KEY_CAPABILITIES)->value.number;
	plan->ambient = get(box, KEY_AMBIENT)->value.number;
	/* It needs no_new_privs, and takes away what a user namespace is made for. */
	plan->landlock = is_word(box, KEY_LANDLOCK, "auto") && plan->no_new_privs &&
		is_word(box, KEY_USER_NAMESPACES, "no");
	if (fill_filter(plan, box, f) < 0 ||
		(plan->kills && plan_last_exec(request, get(box, KEY_SECCOMP), f) < 0))
		return -1;
	return fill_labels(plan, box, f);
}

/* As a login compiles it. */
static int check_profile(const struct seccomp_profile *part, struct fail *f)
{
	struct sock_filter code[SECCOMP_MOST];
	size_t n;

	return seccomp_compile_profile(part, code, SECCOMP_MOST, &n, f);
}

int plan_privileges_check(const struct box *box, bool *kills, struct fail *f)
{
	struct plan plan = { 0 };
	int result = fill_filter(&plan, box, f);

	struct seccomp_profile profile = { .text = plan.profile,
		.name = plan.profile_name,
		.gains = is_word(box, KEY_NO_NEW_PRIVS, "no") };
	*kills = plan.kills;
	if (result == 0 && plan.profile)
		result = check_profile(&profile, f);
	profile.last = true;
	if (result == 0 && plan.kills)
		result = check_profile(&profile, f);
	plan_free(&plan);
	return result;
}
