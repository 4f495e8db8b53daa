#include "helper/build/written.h"

#include "lib/base/own.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

/* The counts of the tmpfs below the overlay at init's root. */
static bool look(const struct plan *plan, pid_t init, struct statfs *fs)
{
	char path[40];
	bool discards = false;

	for (size_t i = 0; i < plan->n_steps; i++)
		discards = discards || plan->steps[i].op == STEP_UPPER;
	if (!discards || plan->keep_dir[0] || init <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)init);
	OWN_FD root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root >= 0 && fstatfs(root, fs) == 0 && fs->f_type == OVERLAYFS_SUPER_MAGIC;
}

void written_begin(struct written *w, const struct plan *plan, pid_t init)
{
	struct statfs fs;

	w->files = look(plan, init, &fs) ? fs.f_files - fs.f_ffree : 0;
}

void written_tell(const struct written *w, const struct plan *plan, pid_t init, struct text *out)
{
	struct statfs fs;

	if (plan->keep_dir[0])
		text_add(out, WRITTEN_KEPT "%s/%u\n", plan->keep_dir, plan->account->uid);
	if (!look(plan, init, &fs))
		return;
	uint64_t files = fs.f_files - fs.f_ffree, block = (uint64_t)fs.f_bsize;
	text_add(out, "written   %llu files, %lluK of %lluK, gone with the box\n",
		(unsigned long long)(files > w->files ? files - w->files : 0),
		(unsigned long long)((fs.f_blocks - fs.f_bfree) * block / 1024),
		(unsigned long long)(fs.f_blocks * block / 1024));
}
