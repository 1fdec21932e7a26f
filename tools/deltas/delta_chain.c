/* SPDX-License-Identifier: BSD-3-Clause */
/* All but the last delta make images that nobody sees. */
#include "deltas/delta_chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/fault.h"
#include "deltas/squashdelta.h"
#include "files/scratch.h"
#include "files/sparse_sink.h"

/* ---- Opening */

static enum blockz_status open_delta(struct delta_chain *chain, size_t index, struct audience *audience,
				     struct blockz_fault *fault)
{
	struct input *input = &chain->inputs[index];
	chain->at = index;
	enum blockz_status status = input_open(input, chain->paths[index], fault);
	if (status != BLOCKZ_OK)
		return status;
	input_add_to(input, audience);
	return delta_head_read(&chain->heads[index], &input->source, fault);
}

/*
 * What before makes cannot be what this is for.  It may be longer than that, as of OLD only what its container says counts;
 * then its digest tells nothing.
 */
static bool is_for_another(const struct blockz_delta_info *this, const struct blockz_delta_info *before)
{
	return before->new_size < this->old_size ||
	       (before->new_size == this->old_size &&
		memcmp(before->new_sha256, this->old_sha256, sizeof(this->old_sha256)) != 0);
}

static enum blockz_status check_order(struct delta_chain *chain, struct blockz_fault *fault)
{
	struct blockz_delta_info info[2];
	bool known = false;
	for (size_t i = 0; i < chain->count; i++) {
		const struct blockz_source *delta = &chain->inputs[i].source;
		struct blockz_delta_info *this = &info[i % 2], *before = &info[(i + 1) % 2];
		if (delta->size == BLOCKZ_UNKNOWN || chain->heads[i].is_squashdelta) {
			known = false;
			continue;
		}
		chain->at = i;
		enum blockz_status status = blockz_delta_info(delta, this, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (known && is_for_another(this, before))
			return tool_fault(fault, BLOCKZ_DAMAGED, "is not for the image that %s makes", chain->paths[i - 1]);
		known = true;
	}
	return BLOCKZ_OK;
}

enum blockz_status delta_chain_open(struct delta_chain *chain, char *const *paths, size_t count, struct audience *audience,
				    struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	*chain = (struct delta_chain){ .paths = paths, .count = count };
	chain->inputs = calloc(count, sizeof(*chain->inputs));
	chain->heads = calloc(count, sizeof(*chain->heads));
	if (chain->inputs == NULL || chain->heads == NULL)
		return tool_fault_errno(fault, ENOMEM, "deltas");
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++)
		status = open_delta(chain, i, audience, fault);
	return status == BLOCKZ_OK ? check_order(chain, fault) : status;
}

void delta_chain_close(struct delta_chain *chain)
{
	for (size_t i = 0; chain->inputs != NULL && i < chain->count; i++)
		input_close(&chain->inputs[i]);
	free(chain->inputs);
	free(chain->heads);
	*chain = (struct delta_chain){ 0 };
}

bool delta_chain_is_unproved(const struct delta_chain *chain)
{
	return chain->heads[chain->count - 1].is_squashdelta;
}

/* ---- Sizes */

enum blockz_status delta_check_size(uint64_t new_size, uint64_t max, struct blockz_fault *fault)
{
	if (max == BLOCKZ_UNKNOWN || new_size <= max)
		return BLOCKZ_OK;
	return tool_fault(fault, BLOCKZ_LIMIT, "makes an image of %" PRIu64 " bytes, more than --max-size %" PRIu64, new_size,
			  max);
}

enum blockz_status delta_chain_check_sizes(struct delta_chain *chain, uint64_t max, struct blockz_fault *fault)
{
	for (size_t i = 0; i < chain->count && max != BLOCKZ_UNKNOWN; i++) {
		struct blockz_memory memory = { chain->heads[i].bytes, chain->heads[i].len };
		const struct blockz_source head = blockz_source_memory(&memory);
		struct blockz_delta_info info;
		if (chain->heads[i].is_squashdelta)
			continue;
		chain->at = i;
		enum blockz_status status = blockz_delta_info(&head, &info, fault);
		if (status != BLOCKZ_OK)
			return status;
		status = delta_check_size(info.new_size, max, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

/* ---- Applying */

static enum blockz_status apply_native(const struct delta_env *env, const struct blockz_source *old,
				       const struct blockz_source *delta, const struct blockz_sink *sink,
				       struct blockz_fault *fault)
{
	struct blockz_delta_info info = { .new_size = BLOCKZ_UNKNOWN };
	enum blockz_status status = BLOCKZ_OK;
	if (delta->size != BLOCKZ_UNKNOWN)
		status = blockz_delta_info(delta, &info, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_merge_options options = delta_env_start(env, "merge", info.new_size);
	status = blockz_merge(old, delta, sink, &options, fault);
	cli_work_end(env->cli);
	return status;
}

/* The limit shows as an error of the sink. */
static enum blockz_status judge_limit(const struct sparse_sink *sink, enum blockz_status status, struct blockz_fault *fault)
{
	if (status != BLOCKZ_FAILED || !sink->is_full)
		return status;
	return tool_fault(fault, BLOCKZ_LIMIT, "makes an image of more than --max-size %" PRIu64 " bytes", sink->max);
}

/* Applies one delta. */
static enum blockz_status apply_delta(struct delta_chain *chain, size_t index, const struct delta_env *env,
				      const struct blockz_source *old, struct delta_output *out, struct blockz_fault *fault)
{
	struct sparse_sink memory;
	const struct blockz_sink sink = sparse_sink_start(&memory, out->fd, out->max);
	const struct blockz_source *delta = &chain->inputs[index].source;
	enum blockz_status status;
	chain->at = index;
	if (chain->heads[index].is_squashdelta)
		status = squashdelta_apply(env, old, delta, &sink, fault);
	else
		status = apply_native(env, old, delta, &sink, fault);
	status = judge_limit(&memory, status, fault);
	/* What lies between deltas has no name. */
	if (status != BLOCKZ_OK && index > 0 && fault->subject == BLOCKZ_ABOUT_OLD)
		fault->subject = BLOCKZ_ABOUT_DELTA;
	out->size = memory.len;
	return status;
}

static enum blockz_status open_between(const struct delta_env *env, int *fd_ret, struct blockz_fault *fault)
{
	enum blockz_status status = scratch_open(env->dirfd, fd_ret, fault);
	if (status != BLOCKZ_OK)
		fault->subject = BLOCKZ_ABOUT_OUTPUT;
	return status;
}

enum blockz_status delta_chain_apply(struct delta_chain *chain, const struct delta_env *env, const struct blockz_source *old,
				     struct delta_output *out, struct blockz_fault *fault)
{
	struct blockz_source image = *old;
	int held = -1;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i + 1 < chain->count && status == BLOCKZ_OK; i++) {
		struct delta_output between = { .fd = -1, .max = out->max };
		status = open_between(env, &between.fd, fault);
		if (status == BLOCKZ_OK)
			status = apply_delta(chain, i, env, &image, &between, fault);
		if (status == BLOCKZ_OK)
			status = blockz_source_fd(between.fd, &image, fault);
		if (held >= 0)
			close(held);
		held = between.fd;
	}
	if (status == BLOCKZ_OK)
		status = apply_delta(chain, chain->count - 1, env, &image, out, fault);
	if (held >= 0)
		close(held);
	return status;
}

enum blockz_status delta_squash(const struct delta_env *env, const struct blockz_source *expanded, struct delta_output *out,
				struct blockz_fault *fault)
{
	struct sparse_sink memory;
	const struct blockz_sink sink = sparse_sink_start(&memory, out->fd, out->max);
	enum blockz_status status = squashdelta_squash(env, expanded, &sink, fault);
	out->size = memory.len;
	return judge_limit(&memory, status, fault);
}
