/* SPDX-License-Identifier: BSD-3-Clause */
/* Holes on one side are compared with zeros on the other, so that nothing is read of them. */
#include "edit/compare.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/equal.h"
#include "base/zeros.h"
#include "io/access.h"

enum { PART = 1 << 20 };

/* Reads the next part of the other side; what it lacks at its end differs. */
static int read_part(struct compare_sink *self, size_t len)
{
	size_t got = 0;
	if (!buffer_reserve(&self->part, PART))
		return ENOMEM;
	int error = self->data->ops->read(self->data->ctx, self->part.bytes, len, self->pos, &got);
	self->data_failed = error != 0;
	if (error != 0)
		return error;
	if (got < len) {
		self->differs = self->pos + got;
		return ECANCELED;
	}
	return 0;
}

static void advance(struct compare_sink *self, uint64_t len)
{
	self->pos += len;
	self->image_pos += len;
}

/* How many of the next len bytes are alike in this: whether they are passed over. */
static uint64_t next_run(struct compare_sink *self, uint64_t len, bool *passed_ret)
{
	const struct blockz_map *map = self->map;
	*passed_ret = false;
	while (map != NULL && self->span < map->span_count &&
	       (!map->spans[self->span].patchable || map->spans[self->span].end <= self->image_pos))
		self->span++;
	if (map == NULL || self->span == map->span_count)
		return len;
	const struct span *span = &map->spans[self->span];
	*passed_ret = span->start <= self->image_pos;
	uint64_t left = (*passed_ret ? span->end : span->start) - self->image_pos;
	return min(left, len);
}

/* bytes NULL: zeros. */
static int compare_part(struct compare_sink *self, const uint8_t *bytes, size_t len)
{
	int error = read_part(self, len);
	if (error != 0)
		return error;
	const uint8_t *other = self->part.bytes;
	if (bytes != NULL ? memcmp(bytes, other, len) == 0 : all_zeros(other, len)) {
		advance(self, len);
		return 0;
	}
	size_t i = bytes != NULL ? equal_ahead(other, bytes, len) : 0;
	while (bytes == NULL && other[i] == 0)
		i++;
	self->differs = self->pos + i;
	return ECANCELED;
}

static int compare_bytes(void *ctx, const void *buf, size_t len)
{
	struct compare_sink *self = ctx;
	const uint8_t *bytes = buf;
	int error = 0;
	for (size_t part; len > 0 && error == 0; bytes += part, len -= part) {
		bool passed;
		part = (size_t)next_run(self, min(len, PART), &passed);
		if (passed)
			advance(self, part);
		else
			error = compare_part(self, bytes, part);
	}
	return error;
}

/* Holes of the other side are equal to zeros unread. */
static int compare_zeros(void *ctx, uint64_t len)
{
	struct compare_sink *self = ctx;
	uint64_t end = self->pos + len;
	int error = 0;
	while (self->pos < end && error == 0) {
		bool passed;
		uint64_t run = next_run(self, end - self->pos, &passed), start = self->pos, stop = start + run;
		if (!passed)
			error = find_data(self->data, self->pos, &start, &stop);
		self->data_failed = error != 0;
		if (error != 0)
			break;
		if (passed || start > self->pos)
			advance(self, passed || start - self->pos > run ? run : start - self->pos);
		else
			error = compare_part(self, NULL, (size_t)min(min(stop - self->pos, run), PART));
	}
	return error;
}

struct blockz_sink compare_sink(struct compare_sink *self)
{
	static const struct blockz_sink_ops ops = { .write = compare_bytes, .zeros = compare_zeros };
	return (struct blockz_sink){ &ops, self };
}

void compare_sink_free(struct compare_sink *self)
{
	buffer_free(&self->part);
}
