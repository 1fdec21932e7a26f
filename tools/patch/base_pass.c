/* SPDX-License-Identifier: BSD-3-Clause */
/* The base is read in order, and once. */
#include "patch/base_pass.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/fault.h"

enum { CHUNK = 1 << 20 };

enum blockz_status base_pass_start(struct base_pass *self, const struct blockz_source *base, const struct blockz_work *work,
				   struct blockz_fault *fault)
{
	*self = (struct base_pass){ .base = base, .work = work, .buf = malloc(CHUNK) };
	return self->buf != NULL ? digest_start(&self->digest, fault) : tool_fault_errno(fault, ENOMEM, "composition");
}

static enum blockz_status pass_on(struct base_pass *self, const struct blockz_sink *sink, size_t len, struct blockz_fault *fault)
{
	int error = sink != NULL ? sink->ops->write(sink->ctx, self->buf, len) : 0;
	if (error == 0)
		return BLOCKZ_OK;
	tool_fault_errno(fault, error, "write");
	fault->subject = BLOCKZ_ABOUT_OUTPUT;
	return BLOCKZ_FAILED;
}

enum blockz_status base_pass_to(struct base_pass *self, uint64_t end, const struct blockz_sink *sink, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (self->pos < end && status == BLOCKZ_OK) {
		size_t got = 0, len = end - self->pos < CHUNK ? (size_t)(end - self->pos) : CHUNK;
		int error = self->base->ops->read(self->base->ctx, self->buf, len, self->pos, &got);
		if (error != 0)
			return tool_fault_errno(fault, error, "read");
		if (got < len)
			return tool_fault(fault, BLOCKZ_FAILED, "it became shorter while it was read");
		digest_update(&self->digest, self->buf, len);
		self->pos += len;
		if (self->work->progress != NULL && !self->work->progress(self->work->progress_ctx, self->pos, self->pos))
			return tool_fault(fault, BLOCKZ_FAILED, "interrupted");
		status = pass_on(self, sink, len, fault);
	}
	return status;
}

enum blockz_status base_pass_finish(struct base_pass *self, char sha256_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	enum blockz_status status = base_pass_to(self, self->base->size, NULL, fault);
	return status == BLOCKZ_OK ? digest_finish(&self->digest, sha256_ret, fault) : status;
}

void base_pass_free(struct base_pass *self)
{
	digest_free(&self->digest);
	free(self->buf);
	*self = (struct base_pass){ 0 };
}
