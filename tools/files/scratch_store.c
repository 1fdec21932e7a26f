/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes go through the library's own source and sink. */
#include "files/scratch_store.h"

#include <unistd.h>

#include "files/room.h"
#include "files/scratch.h"

static int read_back(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct scratch_store *self = ctx;
	return self->source.ops->read(self->source.ctx, buf, len, off, got_ret);
}

static int write_at(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct scratch_store *self = ctx;
	return self->sink.ops->rewrite(self->sink.ctx, buf, len, off);
}

enum blockz_status scratch_store_open(struct scratch_store *self, int dirfd, struct blockz_fault *fault)
{
	static const struct blockz_store_ops ops = { .read = read_back, .write = write_at };
	*self = (struct scratch_store){ .fd = -1, .held = -1, .dirfd = dirfd };
	if (dirfd < 0 || scratch_open(dirfd, &self->fd, NULL) != BLOCKZ_OK) {
		enum blockz_status status = scratch_open(-1, &self->fd, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	self->store = (struct blockz_store){ .ops = &ops, .ctx = self };
	self->sink = blockz_sink_fd(&self->memory, self->fd);
	return blockz_source_fd(self->fd, &self->source, fault);
}

/* In a file of its own, since closing it gives all of the room back. */
enum blockz_status scratch_store_hold(void *ctx, uint64_t len, struct blockz_fault *fault)
{
	struct scratch_store *self = ctx;
	if (self->dirfd < 0 || self->held >= 0 || scratch_open(self->dirfd, &self->held, NULL) != BLOCKZ_OK)
		return BLOCKZ_OK;
	enum blockz_status status = room_take(self->held, len, fault);
	if (status != BLOCKZ_OK)
		scratch_store_release(self);
	return status;
}

void scratch_store_release(struct scratch_store *self)
{
	if (self->store.ops != NULL && self->held >= 0)
		close(self->held);
	self->held = -1;
}

void scratch_store_close(struct scratch_store *self)
{
	scratch_store_release(self);
	if (self->store.ops != NULL)
		close(self->fd);
	*self = (struct scratch_store){ 0 };
}
