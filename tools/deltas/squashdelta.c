/* SPDX-License-Identifier: BSD-3-Clause */
/* Each step goes from one unnamed file to the next: images are expanded, xdelta3 compares or applies, the result is squashed. */
#include "deltas/squashdelta.h"

#include <unistd.h>

#include "blockz_delta.h"
#include "cli/fault.h"
#include "deltas/delta_proof.h"
#include "deltas/xdelta.h"
#include "files/copying.h"
#include "files/scratch.h"

/* ---- Steps */

static enum blockz_status choose_blocks(const struct delta_env *env, const struct blockz_source *old_image,
					const struct blockz_source *new_image, struct blockz_squashdelta **old_ret,
					struct blockz_squashdelta **new_ret, struct blockz_fault *fault)
{
	const struct blockz_merge_options options = delta_env_start(env, "compare", BLOCKZ_UNKNOWN);
	enum blockz_status status = blockz_squashdelta_choose(old_image, new_image, &options, old_ret, new_ret, fault);
	cli_work_end(env->cli);
	return status;
}

static enum blockz_status expand_to(const struct delta_env *env, const struct blockz_source *image,
				    const struct blockz_squashdelta *list, int out, struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	const struct blockz_sink sink = blockz_sink_fd(&memory, out);
	const struct blockz_squashdelta_info info = blockz_squashdelta_info(list);
	const struct blockz_merge_options options = delta_env_start(env, "expand", image->size + info.plain_bytes);
	enum blockz_status status = blockz_squashdelta_expand(image, list, &sink, &options, fault);
	cli_work_end(env->cli);
	return status;
}

/* The expanded file of an image as an unnamed file, which the caller closes. */
static enum blockz_status expand_aside(const struct delta_env *env, const struct blockz_source *image,
				       const struct blockz_squashdelta *list, int *fd_ret, struct blockz_fault *fault)
{
	enum blockz_status status = scratch_open(env->dirfd, fd_ret, fault);
	if (status == BLOCKZ_OK)
		status = expand_to(env, image, list, *fd_ret, fault);
	/* An unnamed file is not what was to be written. */
	if (status != BLOCKZ_OK && fault->subject == BLOCKZ_ABOUT_OUTPUT)
		fault->subject = BLOCKZ_ABOUT_FILE;
	return status;
}

enum blockz_status squashdelta_squash(const struct delta_env *env, const struct blockz_source *expanded,
				      const struct blockz_sink *sink, struct blockz_fault *fault)
{
	const struct blockz_merge_options options = delta_env_start(env, "squash", BLOCKZ_UNKNOWN);
	enum blockz_status status = blockz_squashdelta_squash(expanded, sink, &options, fault);
	cli_work_end(env->cli);
	return status;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- Applying */

/* What follows the list in a delta, as an unnamed file. */
static enum blockz_status copy_vcdiff(const struct delta_env *env, const struct blockz_source *delta, uint64_t off,
				      int *fd_ret, struct blockz_fault *fault)
{
	uint64_t copied = 0;
	enum blockz_status status = scratch_open(env->dirfd, fd_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = copy_bytes(delta, off, BLOCKZ_UNKNOWN, *fd_ret, &copied);
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "copying the VCDIFF");
}

static enum blockz_status decode_vcdiff(const struct delta_env *env, int source, int vcdiff, int *fd_ret,
					struct blockz_fault *fault)
{
	enum blockz_status status = scratch_open(env->dirfd, fd_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work(env->cli, "xdelta3", BLOCKZ_UNKNOWN);
	status = xdelta_decode(source, vcdiff, *fd_ret, &work, fault);
	cli_work_end(env->cli);
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

enum blockz_status squashdelta_apply(const struct delta_env *env, const struct blockz_source *old_image,
				     const struct blockz_source *delta, const struct blockz_sink *sink,
				     struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	struct blockz_source expanded;
	int source = -1, vcdiff = -1, target = -1;
	enum blockz_status status = blockz_squashdelta_read(delta, &list, fault);
	if (status == BLOCKZ_OK)
		status = copy_vcdiff(env, delta, blockz_squashdelta_info(list).list_len, &vcdiff, fault);
	if (status == BLOCKZ_OK) {
		status = expand_aside(env, old_image, list, &source, fault);
		if (status == BLOCKZ_DAMAGED)
			status = blame_old(fault);
	}
	blockz_squashdelta_free(list);
	if (status == BLOCKZ_OK)
		status = decode_vcdiff(env, source, vcdiff, &target, fault);
	close_if_open(source);
	close_if_open(vcdiff);
	if (status == BLOCKZ_OK)
		status = blockz_source_fd(target, &expanded, fault);
	if (status == BLOCKZ_OK)
		status = squashdelta_squash(env, &expanded, sink, fault);
	close_if_open(target);
	return status;
}

/* ---- Making */

static enum blockz_status prove_delta(const struct delta_env *env, const struct blockz_source *old_image,
				      const struct blockz_source *new_image, int out, struct blockz_fault *fault)
{
	struct comparison comparison;
	const struct blockz_sink sink = comparison_start(&comparison, new_image);
	struct blockz_source delta;
	enum blockz_status status = blockz_source_fd(out, &delta, fault);
	if (status == BLOCKZ_OK)
		status = squashdelta_apply(env, old_image, &delta, &sink, fault);
	return delta_proof_judge(&comparison, status, fault);
}

static enum blockz_status encode_vcdiff(const struct delta_env *env, const struct blockz_squashdelta *list, int source,
					int target, int out, struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	const struct blockz_sink sink = blockz_sink_fd(&memory, out);
	enum blockz_status status = blockz_squashdelta_write(list, &sink, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work(env->cli, "xdelta3", BLOCKZ_UNKNOWN);
	status = xdelta_encode(source, target, out, &work, fault);
	cli_work_end(env->cli);
	return status;
}

enum blockz_status squashdelta_make(const struct delta_env *env, const struct blockz_source *old_image,
				    const struct blockz_source *new_image, int out, struct squashdelta_result *result_ret,
				    struct blockz_fault *fault)
{
	struct blockz_squashdelta *old_list = NULL, *new_list = NULL;
	struct squashdelta_result result;
	int source = -1, target = -1;
	enum blockz_status status = choose_blocks(env, old_image, new_image, &old_list, &new_list, fault);
	if (status != BLOCKZ_OK)
		return status;
	result.old = blockz_squashdelta_info(old_list);
	result.new = blockz_squashdelta_info(new_list);
	status = expand_aside(env, old_image, old_list, &source, fault);
	if (status == BLOCKZ_OK)
		status = expand_aside(env, new_image, new_list, &target, fault);
	if (status == BLOCKZ_OK)
		status = encode_vcdiff(env, old_list, source, target, out, fault);
	blockz_squashdelta_free(old_list);
	blockz_squashdelta_free(new_list);
	close_if_open(source);
	close_if_open(target);
	if (status == BLOCKZ_OK)
		status = prove_delta(env, old_image, new_image, out, fault);
	if (status == BLOCKZ_OK)
		*result_ret = result;
	return status;
}

enum blockz_status squashdelta_expand(const struct delta_env *env, const struct blockz_source *image, int out,
				      struct squashdelta_result *result_ret, struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	enum blockz_status status = choose_blocks(env, NULL, image, NULL, &list, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = expand_to(env, image, list, out, fault);
	if (status == BLOCKZ_OK)
		*result_ret = (struct squashdelta_result){ .new = blockz_squashdelta_info(list) };
	blockz_squashdelta_free(list);
	return status;
}
