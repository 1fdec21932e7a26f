/* SPDX-License-Identifier: BSD-3-Clause */
/* What an overlay knows of the file that a plan makes: its ends, which are kept of a copy that is written nowhere. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "io/access.h"
#include "journal/journal.h"
#include "journal/overlay.h"
#include "range/plan.h"

struct ends_sink {
	const struct blockz_source *file;
	struct journal_ends ends;
	uint64_t pos; /* of the copy */
	uint8_t buffer[JOURNAL_ENDS];
};

/* Where bytes of [start, end) of the copy that lie in [off, off + len) stand in them. */
static struct blockz_range meet(uint64_t start, uint64_t end, uint64_t off, uint64_t len)
{
	uint64_t first = start > off ? start : off, last = min(end, off + len);
	return (struct blockz_range){ first, last > first ? last : first };
}

static void keep_part(const struct ends_sink *self, const uint8_t *buf, size_t len, uint8_t *bytes, uint64_t off, size_t room)
{
	const struct blockz_range part = meet(self->pos, self->pos + len, off, room);
	if (part.start < part.end)
		memcpy(bytes + (part.start - off), buf + (part.start - self->pos), (size_t)(part.end - part.start));
}

static int keep(void *ctx, const void *buf, size_t len)
{
	struct ends_sink *self = ctx;
	struct journal_ends *ends = &self->ends;
	keep_part(self, buf, len, ends->first, 0, ends->first_len);
	keep_part(self, buf, len, ends->last, ends->file_size - ends->last_len, ends->last_len);
	self->pos += len;
	return 0;
}

/* Passes over what stands between the ends, which need not be read. */
static int pass_over(void *ctx, uint64_t file_off, uint64_t len, uint64_t *done_ret)
{
	struct ends_sink *self = ctx;
	const struct journal_ends *ends = &self->ends;
	uint64_t last_off = ends->file_size - ends->last_len;
	if (self->pos >= ends->first_len && self->pos < last_off) {
		*done_ret = min(len, last_off - self->pos);
		self->pos += *done_ret;
		return 0;
	}
	size_t part = (size_t)min(len, sizeof(self->buffer)), got = 0;
	int error = self->file->ops->read(self->file->ctx, self->buffer, part, file_off, &got);
	if (error != 0 || got < part)
		return error != 0 ? error : EIO;
	*done_ret = part;
	return keep(self, self->buffer, part);
}

/* Makes the copy. */
static enum blockz_status read_ends(struct ends_sink *self, const struct blockz_plan *plan, struct blockz_fault *fault)
{
	static const struct blockz_sink_ops ops = { .write = keep, .copy = pass_over };
	const struct blockz_sink sink = { &ops, self };
	struct journal_ends *ends = &self->ends;
	ends->file_size = plan_file_size(plan);
	ends->first_len = ends->last_len = (size_t)min(ends->file_size, JOURNAL_ENDS);
	return blockz_plan_copy(plan, self->file, &sink, fault);
}

EXPORT enum blockz_status blockz_overlay_announce(struct blockz_overlay *overlay, const struct blockz_plan *plan,
						  const struct blockz_source *file, struct blockz_fault *fault)
{
	struct ends_sink *sink = calloc(1, sizeof(*sink));
	if (sink == NULL)
		return fault_nomem(fault);
	sink->file = file;
	enum blockz_status status = read_ends(sink, plan, fault);
	if (status == BLOCKZ_OK) {
		const struct overlay_identity next = { sink->ends.file_size, journal_ends_digest(&sink->ends) };
		status = overlay_set_next(overlay, &next, fault);
	}
	free(sink);
	return status;
}
