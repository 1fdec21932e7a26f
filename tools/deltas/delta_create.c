/* SPDX-License-Identifier: BSD-3-Clause */
/* One call makes the delta, another applies it: what was written is what is proved.  No block is encoded twice for that. */
#include "deltas/delta_create.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/allowance.h"
#include "cli/fault.h"
#include "deltas/delta_proof.h"
#include "deltas/encoders.h"

enum { MEMORY_SHARE = 2 }; /* of what may be taken, one part is by default */

static enum blockz_status make_delta(struct delta_creation *creation, const struct delta_env *env,
				     const struct blockz_source *old, const struct blockz_source *new, int out,
				     struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	const struct blockz_sink sink = blockz_sink_fd(&memory, out);
	struct blockz_delta_options *options = &creation->options;
	struct blockz_encoder *encoders = NULL;
	enum blockz_status status = encoders_list(creation->shared, &encoders, &options->encoder_count, fault);
	if (status != BLOCKZ_OK)
		return status;
	options->encoders = encoders;
	options->restricted = creation->shared != NULL;
	options->lzo = env->lzo;
	if (options->memory == 0)
		options->memory = allowance_memory("") / MEMORY_SHARE;
	options->work = cli_work(env->cli, "compare", new->size);
	status = blockz_delta(old, new, &sink, options, &creation->result, fault);
	cli_work_end(env->cli);
	options->encoders = NULL;
	free(encoders);
	return status;
}

static enum blockz_status prove_delta(struct delta_creation *creation, const struct delta_env *env,
				      const struct blockz_source *old, const struct blockz_source *new, int out,
				      struct blockz_fault *fault)
{
	struct comparison comparison;
	const struct blockz_sink sink = comparison_start(&comparison, new);
	const struct blockz_delta_result *result = &creation->result;
	struct blockz_source delta;
	struct blockz_merge_options options = delta_env_start(env, "apply", result->new_size);
	options.work.threads = result->merge_threads;
	options.proved = creation->options.proved;
	enum blockz_status status = blockz_source_fd(out, &delta, fault);
	if (status == BLOCKZ_OK)
		status = blockz_delta_info(&delta, &creation->head, fault);
	if (status == BLOCKZ_OK)
		status = blockz_merge(old, &delta, &sink, &options, fault);
	cli_work_end(env->cli);
	return delta_proof_judge(&comparison, status, fault);
}

enum blockz_status delta_create(struct delta_creation *creation, const struct delta_env *env, const struct blockz_source *old,
				const struct blockz_source *new, int out, struct blockz_fault *fault)
{
	struct blockz_proved_blocks *proved = blockz_proved_blocks_new();
	if (proved == NULL)
		return tool_fault_errno(fault, ENOMEM, "proofs");
	creation->options.proved = proved;
	enum blockz_status status = make_delta(creation, env, old, new, out, fault);
	if (status == BLOCKZ_OK)
		status = prove_delta(creation, env, old, new, out, fault);
	creation->options.proved = NULL;
	blockz_proved_blocks_free(proved);
	return status;
}
