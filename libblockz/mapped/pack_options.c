/* SPDX-License-Identifier: BSD-3-Clause */
/* Each option is checked by itself; the number of threads depends on what their encoders take. */
#include "mapped/pack_options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "format/formats.h"
#include "base/plural.h"
#include "parallel/pool.h"

static enum blockz_status check_level(const struct blockz_pack_options *options, struct pack_task *task,
				      struct blockz_fault *fault)
{
	const struct blockz_format *format = &task->format->public;
	int level = options->level == 0 ? format->level_default : options->level == BLOCKZ_LEVEL_0 ? 0 : options->level;
	if (level < format->level_min || level > format->level_max)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "level %d: %s has levels %d to %d", level,
				 format->name, format->level_min, format->level_max);
	task->params.level = level;
	return BLOCKZ_OK;
}

static enum blockz_status choose_piece_size(const struct blockz_pack_options *options, struct pack_task *task,
					    struct blockz_fault *fault)
{
	const struct format *format = task->format;
	const char *name = format->public.name;
	uint64_t size = options->piece_size, least = format->public.piece_size_min, most = format->public.piece_size_max;
	if (size != 0 && (size < least || size > most))
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "piece size %" PRIu64 ": %s has %" PRIu64 " to %" PRIu64,
				 size, name, least, most);
	if (options->extreme && !format->has_extreme)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "%s has no extreme levels", name);
	if (size == 0)
		size = format->default_piece_size != NULL ? format->default_piece_size(&task->params)
							  : format->public.piece_size_default;
	if (format->pieces_are_powers && (size & (size - 1)) != 0)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "piece size %" PRIu64 ": %s needs a power of two", size, name);
	if (size % least != 0)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "piece size %" PRIu64 ": %s needs a multiple of %" PRIu64,
				 size, name, least);
	task->params.piece_size = size;
	task->params.raw_size = min(size, format->raw_size_max);
	return BLOCKZ_OK;
}

static enum blockz_status check_raw(const struct blockz_range *raw, size_t count, uint64_t image_size,
				    struct blockz_fault *fault)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t end = raw[i].end == BLOCKZ_UNKNOWN ? image_size : raw[i].end;
		if (raw[i].start > end || (image_size != BLOCKZ_UNKNOWN && end > image_size))
			return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
					 "raw range %" PRIu64 "-%" PRIu64 " does not lie in the image of %" PRIu64 " byte%s",
					 raw[i].start, raw[i].end, image_size, plural(image_size));
	}
	return BLOCKZ_OK;
}

enum blockz_status pack_raw(const struct blockz_range *raw, size_t count, uint64_t image_size,
			    struct blockz_range **united_ret, size_t *count_ret, struct blockz_fault *fault)
{
	enum blockz_status status = check_raw(raw, count, image_size, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct blockz_range *united = calloc(count + 1, sizeof(*united));
	if (united == NULL)
		return fault_nomem(fault);
	if (count > 0)
		memcpy(united, raw, count * sizeof(*united));
	*count_ret = blockz_ranges_unite(united, count);
	*united_ret = united;
	return BLOCKZ_OK;
}

/* As many threads as were asked for, or fewer where their encoders would need more memory than is allowed. */
static enum blockz_status choose_threads(const struct blockz_pack_options *options, struct pack_task *task,
					 struct blockz_fault *fault)
{
	uint64_t each = task->format->encoder_memory(&task->params);
	task->threads = pool_threads(options->work.threads);
	if (options->memory == 0)
		return BLOCKZ_OK;
	if (each > options->memory)
		return fault_about(fault, fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
						    "one thread needs %" PRIu64 " bytes of memory, the limit is %" PRIu64,
						    each, options->memory),
				   BLOCKZ_ABOUT_MEMORY);
	if (task->threads > options->memory / each)
		task->threads = (unsigned)(options->memory / each);
	return BLOCKZ_OK;
}

enum blockz_status pack_options_check(const struct blockz_pack_options *options, uint64_t image_size,
				      struct pack_task *task, struct blockz_fault *fault)
{
	task->format = format_by_name(options->format);
	if (task->format == NULL)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "unknown format '%s'", options->format);
	if (task->format->public.is_read_only)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "format %s can be read only", options->format);
	task->params.image_size = image_size;
	task->params.extreme = options->extreme;
	task->params.no_index = options->no_index;
	task->params.rewritable = task->sink->ops->rewrite != NULL && image_size != BLOCKZ_UNKNOWN;
	enum blockz_status status = check_level(options, task, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = choose_piece_size(options, task, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = format_choose_check(&task->format->public, options->check, &task->params.check, fault);
	return status == BLOCKZ_OK ? choose_threads(options, task, fault) : status;
}
