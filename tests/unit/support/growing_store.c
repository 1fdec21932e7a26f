/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is made longer by each write behind its end. */
#include "growing_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_bytes(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct growing_store *self = ctx;
	if (++self->calls == self->fail_at)
		return EIO;
	size_t left = off < self->len ? self->len - (size_t)off : 0;
	*got_ret = len < left ? len : left;
	if (*got_ret > 0)
		memcpy(buf, self->bytes + off, *got_ret);
	return 0;
}

static int write_bytes(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct growing_store *self = ctx;
	if (++self->calls == self->fail_at)
		return EIO;
	if (off + len > self->len) {
		uint8_t *bytes = realloc(self->bytes, (size_t)off + len);
		if (bytes == NULL)
			return ENOMEM;
		self->bytes = bytes;
		self->len = (size_t)off + len;
	}
	memcpy(self->bytes + off, buf, len);
	return 0;
}

struct blockz_store growing_store(struct growing_store *self)
{
	static const struct blockz_store_ops ops = { .read = read_bytes, .write = write_bytes };
	return (struct blockz_store){ .ops = &ops, .ctx = self };
}

void growing_store_free(struct growing_store *self)
{
	free(self->bytes);
	*self = (struct growing_store){ 0 };
}
