/* SPDX-License-Identifier: BSD-3-Clause */
/* A copy is hashed on its way, or made inside the kernel. */
#include "patch/copy.h"

#include "files/kernel_sink.h"

static enum blockz_status copy_hashed(const struct blockz_plan *plan, const struct compressed *file,
				      struct blockz_sink sink, char sha256_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	struct digest_sink digest = { 0 };
	struct blockz_sink hashed;
	enum blockz_status status = digest_sink_start(&digest, &sink, &hashed, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_copy(plan, &file->source, &hashed, fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&digest.digest, sha256_ret, fault);
	digest_free(&digest.digest);
	return status;
}

static enum blockz_status copy_by_kernel(const struct blockz_plan *plan, const struct compressed *file, int to,
					 struct blockz_fault *fault)
{
	struct kernel_sink sink;
	kernel_sink_open(&sink, file, to);
	enum blockz_status status = blockz_plan_copy(plan, &file->source, &sink.sink, fault);
	kernel_sink_close(&sink);
	return status;
}

enum blockz_status copy_patched(const struct blockz_plan *plan, const struct compressed *file, struct output *output,
				char sha256_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	if (sha256_ret == NULL && !output->is_stream)
		return copy_by_kernel(plan, file, output->fd, fault);
	struct blockz_sink sink = blockz_sink_fd(&memory, output->fd);
	if (sha256_ret == NULL)
		return blockz_plan_copy(plan, &file->source, &sink, fault);
	return copy_hashed(plan, file, sink, sha256_ret, fault);
}
