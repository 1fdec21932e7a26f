/* SPDX-License-Identifier: BSD-3-Clause */
/* What is counted is what was got. */
#include "counted.h"

int counted_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct counted *self = ctx;
	struct blockz_memory memory = { self->bytes.data, self->bytes.len };
	struct blockz_source source = blockz_source_memory(&memory);
	int error = source.ops->read(source.ctx, buf, len, off, got_ret);
	atomic_fetch_add(&self->read, *got_ret);
	return error;
}
