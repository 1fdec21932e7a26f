/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream gives its first bytes once: they are kept, and given again. */
#include "deltas/delta_head.h"

#include <string.h>

#include "cli/fault.h"

static int read_again(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct delta_head *self = ctx;
	size_t again = off < self->len ? self->len - (size_t)off : 0;
	again = again < len ? again : len;
	if (again > 0)
		memcpy(buf, self->bytes + off, again);
	size_t got = 0;
	int error = 0;
	if (again < len)
		error = self->rest.ops->read(self->rest.ctx, (uint8_t *)buf + again, len - again, off + again, &got);
	if (error == 0)
		*got_ret = again + got;
	return error;
}

enum blockz_status delta_head_read(struct delta_head *self, struct blockz_source *delta, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_again };
	*self = (struct delta_head){ .rest = *delta };
	int error = delta->ops->read(delta->ctx, self->bytes, sizeof(self->bytes), 0, &self->len);
	if (error != 0)
		return tool_fault_errno(fault, error, "read");
	self->is_squashdelta = self->len >= BLOCKZ_SQUASHDELTA_MAGIC_LEN &&
			       memcmp(self->bytes, BLOCKZ_SQUASHDELTA_MAGIC, BLOCKZ_SQUASHDELTA_MAGIC_LEN) == 0;
	if (delta->size == BLOCKZ_UNKNOWN)
		*delta = (struct blockz_source){ &ops, self, BLOCKZ_UNKNOWN };
	return BLOCKZ_OK;
}
