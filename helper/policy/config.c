#include "helper/policy/config.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define DROP_INS_MAX 1024

/* One drop-in that was found: where, and under which name. */
struct found {
	char *base;
	bool site;
};

struct drop_ins {
	struct found files[DROP_INS_MAX];
	size_t n;
	const char *dir[2]; /* vendor's, site's; NULL when absent */
	int fd[2];
};

static void drop_ins_close(struct drop_ins *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->files[i].base);
	own_fd_close(&d->fd[0]);
	own_fd_close(&d->fd[1]);
}

/* A policy that is not root's alone is a wrong policy, whatever else is right. */
static int as_policy(struct fail *f, const struct fail *cause)
{
	if (cause->kind == FAIL_REFUSED)
		return fail_say(f, FAIL_POLICY, "read the policy", cause->subject, "%s", cause->rule);
	return fail_err(f, cause->err, cause->step, cause->subject);
}

static bool is_absent(const struct fail *cause)
{
	return cause->kind == FAIL_SYSTEM && cause->err == ENOENT;
}

int config_add(struct config *config, int fd, const char *name, bool main, struct fail *f)
{
	struct config_file file = { .main = main };

	if (strlen(name) > CONFIG_NAME_MAX)
		return fail_say(f, FAIL_POLICY, "read the policy", name,
			"its name is longer than %d bytes", CONFIG_NAME_MAX);
	if (ini_read(&file.ini, fd, name, f) < 0)
		return -1;
	file.name = strdup(name);
	struct config_file *files = file.name ? reallocarray(config->files, config->n_files + 1,
						    sizeof(*files))
					      : NULL;
	if (!files) {
		ini_free(&file.ini);
		free(file.name);
		return fail_err(f, ENOMEM, "read the policy", name);
	}
	config->files = files;
	config->files[config->n_files++] = file;
	return 0;
}

static bool is_drop_in(const char *name)
{
	size_t n = strlen(name);
	return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".conf") == 0;
}

static int by_base(const void *a, const void *b)
{
	const struct found *l = a, *r = b;
	int order = strcmp(l->base, r->base);
	return order ? order : (int)r->site - (int)l->site; /* the site's before the vendor's */
}

/* Notes the drop-ins of one directory, whose descriptor stays open in `d`. */
static int list(struct drop_ins *d, const char *path, bool site, struct fail *f)
{
	struct fail cause = { 0 };
	struct dirent *entry;

	if (path_open_directory(&d->fd[site], path, &cause) < 0)
		return is_absent(&cause) ? 0 : as_policy(f, &cause);
	int copy = fcntl(d->fd[site], F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		own_fd_close(&copy);
		return fail_sys(f, "read directory", path);
	}
	while (errno = 0, (entry = readdir(dir))) {
		if (!is_drop_in(entry->d_name))
			continue;
		char *base = d->n < DROP_INS_MAX ? strdup(entry->d_name) : NULL;
		if (!base)
			break;
		d->files[d->n++] = (struct found){ base, site };
	}
	int err = entry ? (d->n < DROP_INS_MAX ? ENOMEM : E2BIG) : errno;
	closedir(dir);
	return err ? fail_err(f, err, "read directory", path) : 0;
}

static int add_drop_ins(struct config *config, struct drop_ins *d, struct fail *f)
{
	char path[600];

	qsort(d->files, d->n, sizeof(d->files[0]), by_base);
	for (size_t i = 0; i < d->n; i++) {
		const struct found *found = &d->files[i];
		struct fail cause = { 0 };
		struct text t = text_in(path, sizeof(path));
		OWN_FD fd = -1;

		if (i > 0 && strcmp(found->base, d->files[i - 1].base) == 0)
			continue;
		text_add(&t, "%s/%s", d->dir[found->site], found->base);
		if (t.cut)
			return fail_err(f, ENAMETOOLONG, "read the policy", path);
		/* A file that vanished since is an edit in progress, not an empty file. */
		if (path_open_file_at(&fd, d->fd[found->site], found->base, path, &cause) < 0)
			return as_policy(f, &cause);
		if (config_add(config, fd, path, false, f) < 0)
			return -1;
	}
	return 0;
}

static int load_drop_ins(struct config *config, const char *conf_dir, const char *vendor_dir,
	struct fail *f)
{
	char vendor[300], site[300];
	struct text v = text_in(vendor, sizeof(vendor)), s = text_in(site, sizeof(site));
	struct drop_ins *d = malloc(sizeof(*d)); /* large, and mostly not used */

	if (!d)
		return fail_err(f, ENOMEM, "read the policy", conf_dir);
	d->n = 0;
	text_add(&v, "%s/loginbox.d", vendor_dir ? vendor_dir : "");
	text_add(&s, "%s/loginbox.d", conf_dir);
	d->fd[0] = d->fd[1] = -1;
	d->dir[0] = vendor;
	d->dir[1] = site;
	int result = v.cut || s.cut ? fail_err(f, ENAMETOOLONG, "read the policy", conf_dir) : 0;
	if (result == 0 && vendor_dir)
		result = list(d, vendor, false, f);
	if (result == 0)
		result = list(d, site, true, f);
	if (result == 0)
		result = add_drop_ins(config, d, f);
	drop_ins_close(d);
	free(d);
	return result;
}

static int load_main(struct config *config, const char *conf_dir, struct fail *f)
{
	struct fail cause = { 0 };
	OWN_FD fd = -1;
	char path[320];
	struct text t = text_in(path, sizeof(path));

	text_add(&t, "%s/loginbox.conf", conf_dir);
	if (t.cut)
		return fail_err(f, ENAMETOOLONG, "read the policy", conf_dir);
	if (path_open_file(&fd, path, &cause) < 0)
		return is_absent(&cause) ? 0 : as_policy(f, &cause);
	return config_add(config, fd, path, true, f);
}

int config_load(struct config *out, const char *conf_dir, const char *vendor_dir, struct fail *f)
{
	struct config config = { 0 };

	if (load_drop_ins(&config, conf_dir, vendor_dir, f) < 0 || load_main(&config, conf_dir, f) < 0) {
		config_free(&config);
		return -1;
	}
	*out = config;
	return 0;
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->n_files; i++) {
		ini_free(&config->files[i].ini);
		free(config->files[i].name);
	}
	free(config->files);
	*config = (struct config){ 0 };
}
