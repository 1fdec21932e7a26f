/* SPDX-License-Identifier: BSD-3-Clause */
/* The wanted bytes are read part by part, in step with what is appended. */
#include "files/comparison.h"

#include <errno.h>
#include <string.h>

static int compare_bytes(void *ctx, const void *buf, size_t len)
{
	struct comparison *self = ctx;
	const uint8_t *bytes = buf;
	uint8_t part[65536];
	while (len > 0 && !self->differs) {
		size_t got = 0, want = len < sizeof(part) ? len : sizeof(part);
		int error = self->wanted->ops->read(self->wanted->ctx, part, want, self->off, &got);
		if (error != 0)
			return error;
		self->differs = got < want || memcmp(part, bytes, want) != 0;
		self->off += want;
		bytes += want;
		len -= want;
	}
	return self->differs ? EILSEQ : 0;
}

struct blockz_sink comparison_start(struct comparison *self, const struct blockz_source *wanted)
{
	static const struct blockz_sink_ops ops = { .write = compare_bytes };
	*self = (struct comparison){ .wanted = wanted };
	return (struct blockz_sink){ &ops, self };
}

bool comparison_is_equal(const struct comparison *self)
{
	return !self->differs && self->off == self->wanted->size;
}
