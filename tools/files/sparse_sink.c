/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole pages of zeros become holes, counted from the start of the output; a page of which a part is zeros is written. */
#include "files/sparse_sink.h"

#include <errno.h>

#include "files/holes.h"

enum { PAGE = 4096 };

static bool has_room(struct sparse_sink *self, uint64_t len)
{
	self->is_full = self->is_full || len > self->max - self->len;
	return !self->is_full;
}

/* The length of the run of pages at the start of buf that are all zeros, or of pages that are not: *zeros_ret. */
static size_t run_at(const uint8_t *buf, size_t len, uint64_t off, bool *zeros_ret)
{
	size_t done = 0;
	while (done < len) {
		size_t page = PAGE - (size_t)((off + done) % PAGE);
		page = page < len - done ? page : len - done;
		bool zeros = page == PAGE && bytes_are_zeros(buf + done, PAGE);
		if (done > 0 && zeros != *zeros_ret)
			break;
		*zeros_ret = zeros;
		done += page;
	}
	return done;
}

static int append_bytes(void *ctx, const void *buf, size_t len)
{
	struct sparse_sink *self = ctx;
	const struct blockz_sink *inner = &self->inner;
	if (!has_room(self, len))
		return EFBIG;
	for (const uint8_t *bytes = buf, *end = bytes + len; bytes < end;) {
		bool zeros = false;
		size_t run = run_at(bytes, (size_t)(end - bytes), self->len, &zeros);
		int error = zeros ? inner->ops->zeros(inner->ctx, run) : inner->ops->write(inner->ctx, bytes, run);
		if (error != 0)
			return error;
		self->len += run;
		bytes += run;
	}
	return 0;
}

static int append_zeros(void *ctx, uint64_t len)
{
	struct sparse_sink *self = ctx;
	if (!has_room(self, len))
		return EFBIG;
	self->len += len;
	return self->inner.ops->zeros(self->inner.ctx, len);
}

struct blockz_sink sparse_sink_start(struct sparse_sink *self, int fd, uint64_t max)
{
	static const struct blockz_sink_ops ops = { .write = append_bytes, .zeros = append_zeros };
	*self = (struct sparse_sink){ .max = max };
	self->inner = blockz_sink_fd(&self->file, fd);
	return (struct blockz_sink){ &ops, self };
}
