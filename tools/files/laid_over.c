/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of pages are looked up by image offset, in ascending order. */
#include "files/laid_over.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"

enum { BUFFER_LEN = 1 << 17 };

/* 0 or an errno value. */
static int read_held(const struct blockz_overlay *overlay, uint8_t *buf, size_t len, uint64_t off)
{
	struct blockz_source held = blockz_overlay_source(overlay);
	size_t got = 0;
	int error = held.ops->read(held.ctx, buf, len, off, &got);
	return error == 0 && got != len ? EIO : error;
}

int laid_over_bytes(const struct blockz_overlay *overlay, void *buf, size_t len, uint64_t off)
{
	struct blockz_range run;
	uint64_t end = off + len;
	int error = 0;
	for (uint64_t at = off; error == 0 && overlay != NULL && blockz_overlay_range_at(overlay, at, &run) && run.start < end;
	     at = run.end) {
		uint64_t start = run.start > off ? run.start : off, stop = run.end < end ? run.end : end;
		error = read_held(overlay, (uint8_t *)buf + (start - off), (size_t)(stop - start), start);
	}
	return error;
}

static int pass_on(void *ctx, const void *buf, size_t len)
{
	struct laid_over_sink *self = ctx;
	const uint8_t *bytes = buf;
	int error = 0;
	while (len > 0 && error == 0) {
		size_t part = len < BUFFER_LEN ? len : BUFFER_LEN;
		memcpy(self->buffer, bytes, part);
		error = laid_over_bytes(self->overlay, self->buffer, part, self->position);
		if (error == 0)
			error = self->sink->ops->write(self->sink->ctx, self->buffer, part);
		self->position += part;
		bytes += part;
		len -= part;
	}
	return error;
}

enum blockz_status laid_over_sink_start(struct laid_over_sink *self, struct blockz_sink *sink_ret, struct blockz_fault *fault)
{
	static const struct blockz_sink_ops ops = { .write = pass_on };
	self->buffer = malloc(BUFFER_LEN);
	if (self->buffer == NULL)
		return tool_fault_errno(fault, ENOMEM, "buffer");
	*sink_ret = (struct blockz_sink){ &ops, self };
	return BLOCKZ_OK;
}

void laid_over_sink_free(struct laid_over_sink *self)
{
	free(self->buffer);
	self->buffer = NULL;
}
