/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes are started when they are needed, and wait in a list between calls. */
#include "deltas/lzo.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "deltas/lzo_protocol.h"

#define PROGRAM "blockz-lzo"

struct helper {
	struct helper *next;
	pid_t pid;
	int socket; /* its stdin and stdout */
};

struct lzo_helpers {
	struct blockz_lzo lzo;
	char program[PATH_MAX];
	pthread_mutex_t lock;
	struct helper *idle;
};

/* ---- Processes ---- */

static void helper_end(struct helper *helper)
{
	close(helper->socket);
	while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(helper);
}

/* Starts one whose stdin and stdout are the socket theirs. */
static int spawn(const char *program, int theirs, pid_t *pid_ret)
{
	extern char **environ;
	char name[] = PROGRAM;
	char *arguments[] = { name, NULL };
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	error = posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, theirs, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn(pid_ret, program, &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int helper_start(const char *program, struct helper **helper_ret)
{
	int pair[2];
	struct helper *helper = malloc(sizeof(*helper));
	if (helper == NULL)
		return ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		int failure = errno;
		free(helper);
		return failure;
	}
	int error = spawn(program, pair[1], &helper->pid);
	close(pair[1]);
	helper->socket = pair[0];
	if (error != 0) {
		close(pair[0]);
		free(helper);
		return error;
	}
	*helper_ret = helper;
	return 0;
}

static int take_helper(struct lzo_helpers *helpers, struct helper **helper_ret)
{
	pthread_mutex_lock(&helpers->lock);
	struct helper *helper = helpers->idle;
	if (helper != NULL)
		helpers->idle = helper->next;
	pthread_mutex_unlock(&helpers->lock);
	if (helper == NULL)
		return helper_start(helpers->program, helper_ret);
	*helper_ret = helper;
	return 0;
}

static void give_back(struct lzo_helpers *helpers, struct helper *helper)
{
	pthread_mutex_lock(&helpers->lock);
	helper->next = helpers->idle;
	helpers->idle = helper;
	pthread_mutex_unlock(&helpers->lock);
}

/* ---- Requests ---- */

static uint32_t load_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static int send_all(int socket, const void *buf, size_t len)
{
	const uint8_t *bytes = buf;
	while (len > 0) {
		ssize_t sent = send(socket, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return errno == ECONNRESET ? EPIPE : errno;
		bytes += sent > 0 ? sent : 0;
		len -= sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

static int receive_all(int socket, void *buf, size_t len)
{
	uint8_t *bytes = buf;
	while (len > 0) {
		ssize_t got = recv(socket, bytes, len, 0);
		if (got < 0 && errno != EINTR)
			return errno == ECONNRESET ? EPIPE : errno;
		if (got == 0)
			return EPIPE;
		bytes += got > 0 ? got : 0;
		len -= got > 0 ? (size_t)got : 0;
	}
	return 0;
}

/* What a helper is asked, and what it answers: at most room bytes. */
struct request {
	uint8_t head[LZO_REQUEST_LEN]; /* lengths are filled in */
	const void *in;
	size_t len;
	void *out;
	size_t room;
	uint8_t answer;    /* LZO_DONE, LZO_DAMAGED or LZO_FULL */
	size_t answer_len; /* of what is in out then */
};

static int exchange(const struct helper *helper, struct request *request)
{
	uint8_t head[LZO_ANSWER_LEN] = { 0 };
	int error = send_all(helper->socket, request->head, LZO_REQUEST_LEN);
	if (error == 0)
		error = send_all(helper->socket, request->in, request->len);
	if (error == 0)
		error = receive_all(helper->socket, head, sizeof(head));
	if (error != 0)
		return error;
	request->answer = head[LZO_WHAT];
	request->answer_len = load_le32(head + LZO_LENGTH_OFF);
	if (request->answer_len > request->room)
		return EPROTO;
	return receive_all(helper->socket, request->out, request->answer_len);
}

static int ask_helper(struct lzo_helpers *helpers, struct request *request)
{
	if (request->len == 0 || request->len > LZO_LEN_MAX || request->room == 0 || request->room > LZO_LEN_MAX)
		return EINVAL;
	store_le32(request->head + LZO_LENGTH_OFF, (uint32_t)request->len);
	store_le32(request->head + LZO_ROOM_OFF, (uint32_t)request->room);
	struct helper *helper = NULL;
	int error = take_helper(helpers, &helper);
	if (error != 0)
		return error;
	error = exchange(helper, request);
	if (error == 0)
		give_back(helpers, helper);
	else
		helper_end(helper);
	return error;
}

static int compress_block(void *ctx, const struct blockz_lzo_method *method, const void *in, size_t len, void *out, size_t room,
			  size_t *out_len_ret)
{
	struct request request = {
		.head = { LZO_COMPRESS, (uint8_t)method->algorithm, (uint8_t)method->level, method->optimise },
		.in = in, .len = len, .out = out, .room = room,
	};
	int error = ask_helper(ctx, &request);
	if (error != 0)
		return error;
	if (request.answer != LZO_DONE && request.answer != LZO_FULL)
		return EPROTO;
	*out_len_ret = request.answer == LZO_DONE ? request.answer_len : 0;
	return 0;
}

static int decompress_block(void *ctx, const void *in, size_t len, void *out, size_t out_len)
{
	struct request request = { .head = { LZO_DECOMPRESS }, .in = in, .len = len, .out = out, .room = out_len };
	int error = ask_helper(ctx, &request);
	if (error != 0)
		return error;
	if (request.answer == LZO_DAMAGED)
		return EILSEQ;
	return request.answer == LZO_DONE && request.answer_len == out_len ? 0 : EPROTO;
}

/* ---- All of them ---- */

/* Known is where this program lies, as it is built or as it is installed: whoever put it there chose its helper too. */
static bool find_program(char path[PATH_MAX])
{
	static const char *const places[] = { PROGRAM, "../libexec/blockz/" PROGRAM };
	char folder[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder));
	while (len > 0 && folder[len - 1] != '/')
		len--;
	bool found = false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && len > 0 && !found; i++)
		found = snprintf(path, PATH_MAX, "%.*s%s", (int)len, folder, places[i]) < PATH_MAX && access(path, X_OK) == 0;
	return found;
}

struct lzo_helpers *lzo_helpers_new(const char *program)
{
	static const struct blockz_lzo_ops ops = { .compress = compress_block, .decompress = decompress_block };
	struct lzo_helpers *helpers = calloc(1, sizeof(*helpers));
	if (helpers == NULL)
		return NULL;
	bool found = program == NULL ? find_program(helpers->program)
				     : snprintf(helpers->program, PATH_MAX, "%s", program) < PATH_MAX &&
					       access(program, X_OK) == 0;
	if (!found || pthread_mutex_init(&helpers->lock, NULL) != 0) {
		free(helpers);
		return NULL;
	}
	helpers->lzo = (struct blockz_lzo){ &ops, helpers };
	return helpers;
}

void lzo_helpers_free(struct lzo_helpers *helpers)
{
	if (helpers == NULL)
		return;
	for (struct helper *helper = helpers->idle, *next; helper != NULL; helper = next) {
		next = helper->next;
		helper_end(helper);
	}
	pthread_mutex_destroy(&helpers->lock);
	free(helpers);
}

const struct blockz_lzo *lzo_helpers_ops(const struct lzo_helpers *helpers)
{
	return helpers != NULL ? &helpers->lzo : NULL;
}
