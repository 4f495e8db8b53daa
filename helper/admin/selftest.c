/*
 * loginbox selftest USER: tries the known ways out (ways.h) in a real box that is made for
 * it, and says what held. On the host it keeps ready what must not be reached: a process, a
 * listener, a segment, a file.
 */
#include "helper/admin/admin.h"
#include "helper/admin/capture.h"
#include "helper/admin/screen.h"
#include "helper/admin/ways.h"
#include "helper/keeper/title.h"
#include "helper/policy/policy.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LIMIT_MS 60000
#define WHAT_COLUMN 27

struct selftest {
	struct ways_bait bait;
	int port_fd, abstract_fd, segment;
};

/* ---- bait ------------------------------------------------------------------------------- */

/* Outside of every box, as the user: what another login of theirs without one would be. */
static pid_t make_process(const struct account *account)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (setgroups(0, NULL) < 0 || setresgid(account->gid, account->gid, account->gid) < 0 ||
		setresuid(account->uid, account->uid, account->uid) < 0)
		_exit(1);
	for (;;)
		pause();
}

static int listen_on_port(unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	OWN_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return -1;
	*port = ntohs(at.sin_port);
	return take_fd(&fd);
}

static int listen_abstract(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path + 1, name, n);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&at,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) < 0 ||
		listen(fd, 8) < 0)
		return -1;
	return take_fd(&fd);
}

/* The first other home in /etc/passwd that is there; users are never enumerated otherwise. */
static void find_home(struct ways_bait *bait, const struct account *account)
{
	OWN_FILE file = fopen("/etc/passwd", "re");
	struct passwd *user;

	while (file && (user = fgetpwent(file)))
		if (user->pw_uid >= 1000 && user->pw_uid < 60000 && user->pw_uid != account->uid &&
			access(user->pw_dir, F_OK) == 0 && !strchr(user->pw_dir, ',') &&
			text_copy(bait->home, sizeof(bait->home), user->pw_dir))
			return;
}

static int lay_bait(struct selftest *s, const struct account *account, struct fail *f)
{
	struct ways_bait *bait = &s->bait;
	unsigned secret[2];

	s->port_fd = s->abstract_fd = s->segment = -1;
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return fail_sys(f, "make a name", "");
	snprintf(bait->socket, sizeof(bait->socket), "loginbox-selftest-%08x", secret[0]);
	snprintf(bait->tmp, sizeof(bait->tmp), "/tmp/loginbox-selftest-%08x", secret[0]);
	bait->shm_key = (int)(secret[1] | 1) & 0x7fffffff;
	find_home(bait, account);
	OWN_FD file = open(bait->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	s->port_fd = listen_on_port(&bait->port);
	s->abstract_fd = listen_abstract(bait->socket);
	s->segment = shmget(bait->shm_key, 4096, IPC_CREAT | IPC_EXCL | 0666);
	bait->pid = make_process(account);
	if (file < 0 || s->port_fd < 0 || s->abstract_fd < 0 || s->segment < 0 || bait->pid < 0)
		return fail_sys(f, "lay bait on", "the host");
	return 0;
}

static void take_bait(struct selftest *s)
{
	own_fd_close(&s->port_fd);
	own_fd_close(&s->abstract_fd);
	if (s->segment >= 0)
		shmctl(s->segment, IPC_RMID, NULL);
	if (*s->bait.tmp)
		unlinkat(AT_FDCWD, s->bait.tmp, 0);
	if (s->bait.pid > 0) {
		kill(s->bait.pid, SIGKILL);
		waitpid(s->bait.pid, NULL, 0);
	}
}

/* ---- what it means ------------------------------------------------------------------------ */

static const struct way *find_way(const char *name, size_t n)
{
	for (size_t i = 0; i < n_ways; i++)
		if (strlen(ways[i].name) == n && strncmp(ways[i].name, name, n) == 0)
			return &ways[i];
	return NULL;
}

/* Whether the policy itself says that the way is there. */
static const struct setting *opened_by(const struct way *way, const struct box *box)
{
	const struct setting *s = box->all.by_key[way->key];

	if (way->key == KEY_ROOT) /* what is read-only is another key's matter */
		s = box->all.by_key[KEY_READ_ONLY];
	if (way->key == KEY_ROOT)
		return s && !strstr(s->text, "/usr") ? s : NULL;
	return s && key_word(way->strict, s->text) < 0 ? s : NULL;
}

static void print_line(const char *word, enum screen_colour colour, const struct way *way,
	const char *why)
{
	/* What does not fit a screen's line stands in the next one. */
	bool fits = WHAT_COLUMN + strlen(way->what) + strlen(": ") + strlen(why) <= 80;

	printf("%s%-6s%s %-18s  %s", screen_colour(colour), word, screen_colour(SCREEN_PLAIN),
		way->name, way->what);
	if (*why && fits)
		printf(": %s", why);
	else if (*why)
		printf(":\n%*s%s", WHAT_COLUMN, "", why);
	printf("\n");
}

/* Returns how many ways are open against the policy's word, or could not be judged. */
static unsigned judge(char *out, const struct box *box)
{
	unsigned bad = 0, told = 0;
	char why[400], *save = NULL;

	for (char *line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = line + strcspn(line, " "), *colon = strstr(line, ": ");
		const struct way *way = *name ? find_way(name + 1, strcspn(name + 1, ":")) : NULL;
		const struct setting *s = way ? opened_by(way, box) : NULL;
		if (!way)
			continue;
		told++;
		text_clean(line);
		snprintf(why, sizeof(why), "%s", colon ? colon + 2 : "");
		if (text_starts(line, "held ")) {
			print_line("held", SCREEN_GREEN, way, "");
		} else if (text_starts(line, "open ") && s) {
			snprintf(why, sizeof(why), "the policy says %s = %.200s", s->key->name, s->text);
			print_line("given", SCREEN_YELLOW, way, why);
		} else if (text_starts(line, "open ")) {
			print_line("OPEN", SCREEN_RED, way, why);
			bad++;
		} else {
			print_line("unsure", SCREEN_YELLOW, way, why);
		}
	}
	if (told < n_ways)
		printf("%zu of %zu ways were not tried: the box has no such program as this, or it "
		       "was ended\n",
			n_ways - told, n_ways);
	return bad + (unsigned)(n_ways - told);
}

/* ---- the verb ------------------------------------------------------------------------------- */

static int try_box(struct selftest *s, const struct plan *plan, const struct policy *policy,
	struct fail *f)
{
	static struct capture capture;
	char bait[500], self[300] = "";
	char *command[] = { self, (char *)"selftest", (char *)"--ways", bait, NULL };

	/* Inside, the same program by the same name. */
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return fail_sys(f, "find", "/proc/self/exe");
	if (lay_bait(s, plan->account, f) < 0)
		return -1;
	ways_bait_text(&s->bait, bait, sizeof(bait));
	screen_busy("trying %zu ways out of box %s ...", n_ways, plan->box);
	int result = capture_run(&capture, plan, command, LIMIT_MS, f);
	screen_ready();
	if (result < 0)
		return -1;
	unsigned bad = judge(capture.out, policy_find_box(policy, plan->box));
	if (bad)
		printf("%u of %zu ways out of box %s are open or were not tried\n", bad, n_ways,
			plan->box);
	else
		printf("box %s held\n", plan->box);
	if (bad && *capture.err)
		fprintf(stderr, "%s", capture.err);
	return bad ? 1 : 0;
}

static int selftest(const char *user, const char *service, const char *conf_dir)
{
	struct selftest s = { .port_fd = -1, .abstract_fd = -1, .segment = -1 };
	struct request request = { 0 };
	struct policy *policy = NULL;
	struct plan plan = { 0 };
	struct fail f = FAIL_BY("");
	int result = -1;

	if (policy_load(&policy, conf_dir, &f) == 0 &&
		capture_plan(&plan, &request, policy, user, service, &f) == 0)
		result = try_box(&s, &plan, policy, &f);
	take_bait(&s);
	plan_free(&plan);
	account_free(&request.account);
	policy_free(policy);
	return result < 0 ? admin_fail(&f) : result ? EXIT_SYSTEM : EXIT_DONE;
}

int admin_selftest(const struct admin_verb *verb, int argc, char **argv)
{
	const char *user = NULL, *conf_dir = NULL, *service = "sshd", *bait = NULL;
	const struct admin_option options[] = { { "--config", &conf_dir }, { "--service", &service },
		{ "--ways", &bait }, { NULL, NULL } };
	struct ways_bait read;
	int code = admin_read(verb, argc, argv, options, &user, argc > 1 &&
		strcmp(argv[1], "--ways") == 0 ? 0 : 1);

	if (code != EXIT_DONE)
		return code;
	/* The inside half: whoever runs it tries the ways from where they are. */
	if (bait) {
		if (!ways_bait_read(&read, bait))
			return EXIT_CALLED_WRONGLY;
		ways_run(&read);
		return EXIT_DONE;
	}
	if (!admin_is_root("selftest"))
		return EXIT_REFUSED;
	if ((code = admin_config(verb, conf_dir)) != EXIT_DONE)
		return code;
	title_take(argc, argv);
	return selftest(user, service, conf_dir);
}
