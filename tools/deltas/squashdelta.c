/* SPDX-License-Identifier: BSD-3-Clause */
#include "deltas/squashdelta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "cli/fault.h"
#include "deltas/xdelta.h"
#include "files/comparison.h"
#include "files/scratch.h"

enum { COPY_LEN = 1 << 20 };

/* ---- Is it one? */

static int read_again(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct squashdelta_delta *self = ctx;
	size_t again = off < self->head_len ? self->head_len - (size_t)off : 0;
	again = again < len ? again : len;
	if (again > 0)
		memcpy(buf, self->head + off, again);
	size_t got = 0;
	int error = 0;
	if (again < len)
		error = self->inner.ops->read(self->inner.ctx, (uint8_t *)buf + again, len - again, off + again, &got);
	if (error == 0)
		*got_ret = again + got;
	return error;
}

enum blockz_status squashdelta_recognise(struct squashdelta_delta *self, struct blockz_source *delta,
					 struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_again };
	*self = (struct squashdelta_delta){ .inner = *delta };
	int error = delta->ops->read(delta->ctx, self->head, sizeof(self->head), 0, &self->head_len);
	if (error != 0)
		return tool_fault_errno(fault, error, "read");
	self->yes = self->head_len >= BLOCKZ_SQUASHDELTA_MAGIC_LEN &&
		    memcmp(self->head, BLOCKZ_SQUASHDELTA_MAGIC, BLOCKZ_SQUASHDELTA_MAGIC_LEN) == 0;
	if (delta->size == BLOCKZ_UNKNOWN)
		*delta = (struct blockz_source){ &ops, self, BLOCKZ_UNKNOWN };
	return BLOCKZ_OK;
}

/* ---- Steps */

/* Starts a step with a bar of its own. */
static struct blockz_merge_options options_for(const struct squashdelta *self, const char *label, uint64_t total)
{
	return (struct blockz_merge_options){ self->lzo, cli_work(self->cli, label, total, self->threads) };
}

static enum blockz_status choose(const struct squashdelta *self, const struct blockz_source *old_image,
				 const struct blockz_source *new_image, struct blockz_squashdelta **old_ret,
				 struct blockz_squashdelta **new_ret, struct blockz_fault *fault)
{
	const struct blockz_merge_options options = options_for(self, "compare", BLOCKZ_UNKNOWN);
	enum blockz_status status = blockz_squashdelta_choose(old_image, new_image, &options, old_ret, new_ret, fault);
	cli_work_end(self->cli);
	return status;
}

static enum blockz_status expand_to(const struct squashdelta *self, const struct blockz_source *image,
				    const struct blockz_squashdelta *list, int out, struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	const struct blockz_sink sink = blockz_sink_fd(&memory, out);
	const struct blockz_squashdelta_info info = blockz_squashdelta_info(list);
	const struct blockz_merge_options options = options_for(self, "expand", image->size + info.plain_bytes);
	enum blockz_status status = blockz_squashdelta_expand(image, list, &sink, &options, fault);
	cli_work_end(self->cli);
	return status;
}

/* The expanded file of an image as an unnamed file, which the caller closes. */
static enum blockz_status expand_aside(const struct squashdelta *self, const struct blockz_source *image,
				       const struct blockz_squashdelta *list, int *fd_ret, struct blockz_fault *fault)
{
	enum blockz_status status = scratch_open(self->dirfd, fd_ret, fault);
	return status == BLOCKZ_OK ? expand_to(self, image, list, *fd_ret, fault) : status;
}

enum blockz_status squashdelta_squash(const struct squashdelta *self, const struct blockz_source *expanded,
				      const struct blockz_sink *sink, struct blockz_fault *fault)
{
	const struct blockz_merge_options options = options_for(self, "squash", BLOCKZ_UNKNOWN);
	enum blockz_status status = blockz_squashdelta_squash(expanded, sink, &options, fault);
	cli_work_end(self->cli);
	return status;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- Applying */

/* What follows the list in a delta, as an unnamed file. */
static enum blockz_status copy_vcdiff(const struct squashdelta *self, const struct blockz_source *delta, uint64_t off,
				      int *fd_ret, struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	size_t got = COPY_LEN;
	enum blockz_status status = scratch_open(self->dirfd, fd_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_sink sink = blockz_sink_fd(&memory, *fd_ret);
	void *buf = malloc(COPY_LEN);
	int error = buf == NULL ? ENOMEM : 0;
	for (; got == COPY_LEN && error == 0; off += got) {
		error = delta->ops->read(delta->ctx, buf, COPY_LEN, off, &got);
		if (error == 0)
			error = sink.ops->write(sink.ctx, buf, got);
	}
	free(buf);
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "copying the VCDIFF");
}

static enum blockz_status decode_vcdiff(const struct squashdelta *self, int source, int vcdiff, int *fd_ret,
					struct blockz_fault *fault)
{
	enum blockz_status status = scratch_open(self->dirfd, fd_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work(self->cli, "xdelta3", BLOCKZ_UNKNOWN, 1);
	status = xdelta_decode(source, vcdiff, *fd_ret, &work, fault);
	cli_work_end(self->cli);
	return status;
}

/* The list fits another image than the one at hand. */
static enum blockz_status blame_old(struct blockz_fault *fault)
{
	const struct blockz_fault why = *fault;
	tool_fault(fault, why.status, "OLD is damaged, or not the image that the delta is for: %s", why.text);
	fault->offset = why.offset;
	fault->subject = BLOCKZ_ABOUT_OLD;
	return why.status;
}

enum blockz_status squashdelta_apply(const struct squashdelta *self, const struct blockz_source *old_image,
				     const struct blockz_source *delta, const struct blockz_sink *sink,
				     struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	struct blockz_source expanded;
	int source = -1, vcdiff = -1, target = -1;
	enum blockz_status status = blockz_squashdelta_read(delta, &list, fault);
	if (status == BLOCKZ_OK)
		status = copy_vcdiff(self, delta, blockz_squashdelta_info(list).list_len, &vcdiff, fault);
	if (status == BLOCKZ_OK) {
		status = expand_aside(self, old_image, list, &source, fault);
		if (status == BLOCKZ_DAMAGED)
			status = blame_old(fault);
	}
	blockz_squashdelta_free(list);
	if (status == BLOCKZ_OK)
		status = decode_vcdiff(self, source, vcdiff, &target, fault);
	close_if_open(source);
	close_if_open(vcdiff);
	if (status == BLOCKZ_OK)
		status = blockz_source_fd(target, &expanded, fault);
	if (status == BLOCKZ_OK)
		status = squashdelta_squash(self, &expanded, sink, fault);
	close_if_open(target);
	return status;
}

/* ---- Making */

/* A delta counts when it makes the new image, here and now, of what was written. */
static enum blockz_status prove(const struct squashdelta *self, const struct blockz_source *old_image,
				const struct blockz_source *new_image, int out, struct blockz_fault *fault)
{
	struct comparison comparison;
	const struct blockz_sink sink = comparison_start(&comparison, new_image);
	struct blockz_source delta;
	enum blockz_status status = blockz_source_fd(out, &delta, fault);
	if (status == BLOCKZ_OK)
		status = squashdelta_apply(self, old_image, &delta, &sink, fault);
	if (comparison.differs || (status == BLOCKZ_OK && !comparison_is_equal(&comparison)))
		return tool_fault(fault, BLOCKZ_FAILED, "it was applied and does not make NEW: not the same bytes up to %"
				  PRIu64 " of %" PRIu64, comparison.off, new_image->size);
	if (status == BLOCKZ_OK || status == BLOCKZ_FAILED)
		return status;
	const struct blockz_fault why = *fault;
	return tool_fault(fault, BLOCKZ_FAILED, "it was applied and does not make NEW: %s", why.text);
}

static enum blockz_status encode(const struct squashdelta *self, const struct blockz_squashdelta *list, int source,
				 int target, int out, struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	const struct blockz_sink sink = blockz_sink_fd(&memory, out);
	enum blockz_status status = blockz_squashdelta_write(list, &sink, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work(self->cli, "xdelta3", BLOCKZ_UNKNOWN, 1);
	status = xdelta_encode(source, target, out, &work, fault);
	cli_work_end(self->cli);
	return status;
}

enum blockz_status squashdelta_make(const struct squashdelta *self, const struct blockz_source *old_image,
				    const struct blockz_source *new_image, int out, struct squashdelta_result *result_ret,
				    struct blockz_fault *fault)
{
	struct blockz_squashdelta *old_list = NULL, *new_list = NULL;
	struct squashdelta_result result;
	int source = -1, target = -1;
	enum blockz_status status = choose(self, old_image, new_image, &old_list, &new_list, fault);
	if (status != BLOCKZ_OK)
		return status;
	result.old = blockz_squashdelta_info(old_list);
	result.new = blockz_squashdelta_info(new_list);
	status = expand_aside(self, old_image, old_list, &source, fault);
	if (status == BLOCKZ_OK)
		status = expand_aside(self, new_image, new_list, &target, fault);
	if (status == BLOCKZ_OK)
		status = encode(self, old_list, source, target, out, fault);
	blockz_squashdelta_free(old_list);
	blockz_squashdelta_free(new_list);
	close_if_open(source);
	close_if_open(target);
	if (status == BLOCKZ_OK)
		status = prove(self, old_image, new_image, out, fault);
	if (status == BLOCKZ_OK)
		*result_ret = result;
	return status;
}

enum blockz_status squashdelta_expand(const struct squashdelta *self, const struct blockz_source *image, int out,
				      struct squashdelta_result *result_ret, struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	enum blockz_status status = choose(self, NULL, image, NULL, &list, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = expand_to(self, image, list, out, fault);
	if (status == BLOCKZ_OK)
		*result_ret = (struct squashdelta_result){ .new = blockz_squashdelta_info(list) };
	blockz_squashdelta_free(list);
	return status;
}
