#include "helper/keeper/peer.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_MS 5000
#define STATE_MAX 65536 /* of any version */

static int connect_to(const struct sockaddr_un *at)
{
	OWN_FD sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0 || connect(sock, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -1;
	return take_fd(&sock);
}

int peer_connect(const struct place_box *box)
{
	struct sockaddr_un at;

	place_address(box, &at);
	return connect_to(&at);
}

int peer_connect_inside(void)
{
	static const struct sockaddr_un at = { .sun_family = AF_UNIX,
		.sun_path = LOGINBOX_RUN "/ctl" };
	return connect_to(&at);
}

#define END(text) (text)[sizeof(text) - 1] = '\0'

int peer_state(int sock, struct wire_state *out, struct fail *f)
{
	const struct wire_head ask = WIRE_HEAD(WIRE_STATUS);
	const size_t common = offsetof(struct wire_state, n_sessions) + sizeof(out->n_sessions);
	union {
		struct wire_state state;
		char room[STATE_MAX];
	} answer;

	if (fdio_send(sock, &ask, sizeof(ask), NULL, f) < 0)
		return -1;
	ssize_t n = fdio_recv(sock, &answer, sizeof(answer), NULL, NULL,
		fdio_now_ms() + ANSWER_MS, f);
	if (n < 0)
		return -1;
	bool ours = n == sizeof(*out) && wire_is(&answer.state.head, WIRE_STATE);
	if (!ours && (n < (ssize_t)common || !wire_is_any(&answer.state.head, WIRE_STATE)))
		return fail_say(f, FAIL_SYSTEM, "ask the box's keeper", "",
			n == 0 ? "the box has ended" : "it is of another version");
	*out = (struct wire_state){ 0 };
	memcpy(out, &answer, ours ? sizeof(*out) : common);
	END(out->id);
	END(out->user);
	END(out->box);
	END(out->rule);
	END(out->hash);
	END(out->more);
	for (size_t i = 0; i < WIRE_STATE_SESSIONS; i++) {
		END(out->sessions[i].service);
		END(out->sessions[i].tty);
		END(out->sessions[i].rhost);
	}
	return 0;
}

int peer_kill(int sock, int64_t deadline_ms, struct fail *f)
{
	const struct wire_head ask = WIRE_HEAD(WIRE_KILL);
	struct wire_head none;

	if (fdio_send(sock, &ask, sizeof(ask), NULL, f) < 0)
		return -1;
	/* Nothing is ever answered: the end of the connection is the end of the box. */
	ssize_t n = fdio_recv(sock, &none, sizeof(none), NULL, NULL, deadline_ms, f);
	return n > 0 ? fail_err(f, EPROTO, "end the box", "") : (int)n;
}
