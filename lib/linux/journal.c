#include "lib/linux/journal.h"

#include "lib/base/own.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define KEY_MAX 24

int journal_open(void)
{
	static const struct sockaddr_un at = { .sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket" };
	OWN_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return take_fd(&fd);
}

static void add(struct text *entry, const char *prefix, const char *key, const char *value,
	size_t length)
{
	text_add(entry, "%s%s=%.*s\n", prefix, key, (int)length, value);
}

void journal_add(struct text *entry, const char *key, const char *value)
{
	add(entry, "", key, value, strlen(value));
}

/* The key of a word "key=" in capitals; where its value begins, or NULL: it is another word. */
static const char *read_key(const char *word, char key[KEY_MAX])
{
	size_t n = 0;

	for (; word[n] >= 'a' && word[n] <= 'z' && n < KEY_MAX - 1; n++)
		key[n] = (char)toupper((unsigned char)word[n]);
	key[n] = '\0';
	return n && word[n] == '=' ? word + n + 1 : NULL;
}

void journal_add_words(struct text *entry, const char *prefix, const char *line)
{
	char key[KEY_MAX];

	for (const char *word = line; *word; word += strspn(word, " ")) {
		const char *value = read_key(word, key);
		const char *end = word + strcspn(word, " ");
		if (value && *value == '"') {
			const char *last = strrchr(++value, '"');
			add(entry, prefix, key, value, last ? (size_t)(last - value) : strlen(value));
			return;
		}
		if (value)
			add(entry, prefix, key, value, (size_t)(end - value));
		word = end;
	}
}

int journal_send(int fd, const struct text *entry)
{
	if (entry->cut) {
		errno = EMSGSIZE;
		return -1;
	}
	return send(fd, entry->at, entry->len, MSG_NOSIGNAL) < 0 ? -1 : 0;
}
