/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pack: the image is cut by its size, the piece size and the raw ranges alone; pieces are encoded by any thread and
 * written in order.  Zero pieces are encoded once, and holes are not read.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "format/format.h"
#include "io/access.h"
#include "parallel/pool.h"
#include "stream/zeros.h"

enum {
	ZERO_RUN_MAX = 4096,        /* zero pieces a job: progress is told, and interruption heard, between jobs */
	ZERO_BATCH = 1024 * 1024, /* bytes of equal zero pieces that are written at once */
};

struct pack {
	const struct blockz_source *image;
	const struct blockz_sink *sink;
	const struct format *format;
	struct pack_params params;
	struct blockz_range *raw;
	size_t raw_count;
	const struct blockz_work *work;
	void *writer;
	/* Taking. */
	uint64_t pos;                   /* image offset of the next job */
	size_t next_raw;                /* first raw range that ends behind pos */
	uint64_t data_start, data_end;  /* the image's first data extent that ends behind pos, as known so far */
	bool ended;                     /* a stream has ended */
	unsigned threads;
	/* Giving. */
	uint64_t file_done;
	struct blockz_pack_result result;
	struct buffer zero_piece; /* encodings of a zero piece, as many as ZERO_BATCH holds */
	size_t zero_len;          /* of one; 0: not made yet */
	uint64_t zero_tag;
};

struct pack_job {
	enum blockz_kind kind;
	uint64_t start, end; /* image offsets */
	bool whole;          /* exactly one piece between two multiples of the piece size: may turn out to be zero */
	struct buffer out;
	size_t out_len;
	uint64_t tag;
};

/* Jobs that wait for their turn have been encoded: what was read is kept by the thread alone. */
struct pack_thread {
	const struct pack *pack;
	void *encoder;
	struct buffer in; /* image bytes of the job under work */
};

static void *job_new(void *ctx)
{
	(void)ctx;
	return calloc(1, sizeof(struct pack_job));
}

static void job_free(void *memory)
{
	struct pack_job *job = memory;
	buffer_free(&job->out);
	free(job);
}

static void thread_free(void *memory)
{
	struct pack_thread *thread = memory;
	thread->pack->format->encoder_free(thread->encoder);
	buffer_free(&thread->in);
	free(thread);
}

static void *thread_new(void *ctx)
{
	const struct pack *pack = ctx;
	const struct pack_params *params = &pack->params;
	uint64_t room = min(params->piece_size > params->raw_size ? params->piece_size : params->raw_size,
			    params->image_size);
	struct pack_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return NULL;
	thread->pack = pack;
	thread->encoder = pack->format->encoder_new(params);
	if (thread->encoder == NULL || !buffer_reserve(&thread->in, (size_t)room)) {
		thread_free(thread);
		return NULL;
	}
	return thread;
}

/* ---- Taking: cutting the image and reading it ---- */

/* Where the piece that starts at pos ends, by cuts alone. */
static void cut(struct pack *pack, struct pack_job *job)
{
	while (pack->next_raw < pack->raw_count && pack->raw[pack->next_raw].end <= pack->pos)
		pack->next_raw++;
	const struct blockz_range *raw = pack->next_raw < pack->raw_count ? &pack->raw[pack->next_raw] : NULL;
	bool in_raw = raw != NULL && raw->start <= pack->pos;
	uint64_t size = in_raw ? pack->params.raw_size : pack->params.piece_size;
	uint64_t edge = pack->pos - pack->pos % size + size;
	uint64_t end = min(edge, pack->params.image_size);
	if (raw != NULL)
		end = min(end, in_raw ? raw->end : raw->start);
	job->kind = in_raw ? BLOCKZ_RAW : BLOCKZ_COMPRESSED;
	job->start = pack->pos;
	job->end = end;
	job->whole = !in_raw && end - pack->pos == size;
}

/* Makes a job of the zero pieces that a hole holds from pos on; false if there is none. */
static enum blockz_status take_hole(struct pack *pack, struct pack_job *job, bool *taken_ret,
				    struct blockz_fault *fault)
{
	*taken_ret = false;
	if (!job->whole || pack->image->ops->next_data == NULL || pack->image->size == BLOCKZ_UNKNOWN)
		return BLOCKZ_OK;
	if (pack->data_end <= pack->pos) {
		int error = pack->image->ops->next_data(pack->image->ctx, pack->pos, &pack->data_start, &pack->data_end);
		if (error != 0)
			return fault_errno(fault, error, BLOCKZ_UNKNOWN, "finding holes in the image");
	}
	uint64_t limit = min(pack->data_start, pack->params.image_size);
	if (pack->next_raw < pack->raw_count)
		limit = min(limit, pack->raw[pack->next_raw].start);
	uint64_t units = limit > pack->pos ? min((limit - pack->pos) / pack->params.piece_size, ZERO_RUN_MAX) : 0;
	if (units == 0)
		return BLOCKZ_OK;
	job->kind = BLOCKZ_ZERO;
	job->end = pack->pos + units * pack->params.piece_size;
	*taken_ret = true;
	return BLOCKZ_OK;
}

static enum blockz_status take_bytes(struct pack *pack, struct pack_job *job, uint8_t *bytes, struct blockz_fault *fault)
{
	size_t len = (size_t)(job->end - job->start), got = 0;
	if (pack->image->size != BLOCKZ_UNKNOWN)
		return read_data(pack->image, bytes, len, job->start, "image", fault);
	int error = pack->image->ops->read(pack->image->ctx, bytes, len, job->start, &got);
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "image");
	if (got < len) {
		pack->ended = true;
		job->end = job->start + got;
		job->whole = false;
	}
	return BLOCKZ_OK;
}

static enum blockz_status take(void *ctx, void *memory, void *thread, bool *done_ret, struct blockz_fault *fault)
{
	struct pack *pack = ctx;
	struct pack_job *job = memory;
	*done_ret = pack->ended || pack->pos >= pack->params.image_size;
	if (*done_ret)
		return BLOCKZ_OK;
	cut(pack, job);
	bool taken;
	enum blockz_status status = take_hole(pack, job, &taken, fault);
	if (status == BLOCKZ_OK && !taken)
		status = take_bytes(pack, job, ((struct pack_thread *)thread)->in.bytes, fault);
	pack->pos = job->end;
	*done_ret = job->start == job->end;
	return status;
}

/* ---- Working ---- */

static enum blockz_status work(void *ctx, void *memory, void *thread, struct blockz_fault *fault)
{
	const struct pack *pack = ctx;
	struct pack_job *job = memory;
	struct pack_thread *self = thread;
	if (job->kind == BLOCKZ_ZERO)
		return BLOCKZ_OK;
	size_t len = (size_t)(job->end - job->start);
	if (job->whole && all_zeros(self->in.bytes, len)) {
		job->kind = BLOCKZ_ZERO;
		return BLOCKZ_OK;
	}
	return pack->format->encode(self->encoder, self->in.bytes, len, job->start, job->kind == BLOCKZ_RAW, &job->out,
				    &job->out_len, &job->tag, fault);
}

/* ---- Giving ---- */

/* Encodes a zero piece once, and repeats it in memory so that many are written at once. */
static enum blockz_status make_zero_piece(struct pack *pack, void *encoder, struct blockz_fault *fault)
{
	size_t len = (size_t)pack->params.piece_size;
	struct buffer one = { 0 };
	uint8_t *zeros = calloc(1, len);
	enum blockz_status status =
		zeros == NULL ? fault_nomem(fault)
			      : pack->format->encode(encoder, zeros, len, 0, false, &one, &pack->zero_len,
						     &pack->zero_tag, fault);
	if (status == BLOCKZ_OK && !buffer_reserve(&pack->zero_piece, ZERO_BATCH + pack->zero_len))
		status = fault_nomem(fault);
	if (status == BLOCKZ_OK)
		for (size_t pos = 0; pos < ZERO_BATCH; pos += pack->zero_len)
			memcpy(pack->zero_piece.bytes + pos, one.bytes, pack->zero_len);
	else
		pack->zero_len = 0;
	buffer_free(&one);
	free(zeros);
	return status;
}

static enum blockz_status give_zeros(struct pack *pack, uint64_t units, void *encoder, uint64_t *file_len_ret,
				     struct blockz_fault *fault)
{
	enum blockz_status status = pack->zero_len == 0 ? make_zero_piece(pack, encoder, fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	*file_len_ret = units * pack->zero_len;
	uint64_t batch = pack->zero_len < ZERO_BATCH ? ZERO_BATCH / pack->zero_len : 1;
	while (units > 0 && status == BLOCKZ_OK) {
		uint64_t part = min(units, batch);
		status = write_out(pack->sink, pack->zero_piece.bytes, (size_t)part * pack->zero_len, fault);
		units -= part;
	}
	return status;
}

static enum blockz_status give(void *ctx, void *memory, void *thread, struct blockz_fault *fault)
{
	struct pack *pack = ctx;
	struct pack_job *job = memory;
	struct written_piece piece = {
		.kind = job->kind, .start = job->start, .end = job->end, .file_len = job->out_len, .units = 1,
		.tag = job->tag,
	};
	enum blockz_status status;
	if (job->kind == BLOCKZ_ZERO) {
		piece.units = (job->end - job->start) / pack->params.piece_size;
		pack->result.zero_bytes += job->end - job->start;
		status = give_zeros(pack, piece.units, ((struct pack_thread *)thread)->encoder, &piece.file_len,
				    fault);
		piece.tag = pack->zero_tag;
	} else {
		status = write_out(pack->sink, job->out.bytes, job->out_len, fault);
	}
	if (status == BLOCKZ_OK)
		status = pack->format->write_piece(pack->writer, &piece, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (job->kind == BLOCKZ_RAW)
		pack->result.raw_bytes += job->end - job->start;
	pack->result.pieces += piece.units;
	pack->result.image_size = job->end;
	pack->file_done += piece.file_len;
	if (pack->work->progress != NULL &&
	    !pack->work->progress(pack->work->progress_ctx, job->end, pack->file_done))
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "interrupted");
	return BLOCKZ_OK;
}

/* ---- The whole ---- */

static enum blockz_status write_head(struct pack *pack, struct blockz_fault *fault)
{
	struct buffer head = { 0 };
	size_t len = 0;
	enum blockz_status status = pack->format->write_head(pack->writer, &head, &len, fault);
	if (status == BLOCKZ_OK && len > 0)
		status = write_out(pack->sink, head.bytes, len, fault);
	pack->file_done += len;
	buffer_free(&head);
	return status;
}

static enum blockz_status write_tail(struct pack *pack, struct blockz_fault *fault)
{
	struct buffer tail = { 0 };
	size_t len = 0;
	enum blockz_status status = pack->format->write_tail(pack->writer, &tail, &len,
							     &pack->result.index_piece_size, fault);
	if (status == BLOCKZ_OK && len > 0)
		status = write_out(pack->sink, tail.bytes, len, fault);
	pack->file_done += len;
	buffer_free(&tail);
	return status;
}

static enum blockz_status rewrite_head(struct pack *pack, struct blockz_fault *fault)
{
	struct buffer head = { 0 };
	size_t len = 0;
	enum blockz_status status = pack->format->rewrite_head(pack->writer, &head, &len,
							       &pack->result.index_piece_size, fault);
	if (status == BLOCKZ_OK && len > 0) {
		int error = pack->sink->ops->rewrite(pack->sink->ctx, head.bytes, len, 0);
		if (error != 0)
			status = fault_errno(fault, error, BLOCKZ_UNKNOWN, "write");
	}
	buffer_free(&head);
	return status;
}

/* The end of a stream shows itself only when it is there. */
static enum blockz_status check_end(const struct pack *pack, struct blockz_fault *fault)
{
	if (pack->raw_count == 0)
		return BLOCKZ_OK;
	const struct blockz_range *last = &pack->raw[pack->raw_count - 1];
	uint64_t least = last->end == BLOCKZ_UNKNOWN ? last->start : last->end;
	if (least <= pack->result.image_size)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
			 "raw range up to %" PRIu64 " lies beyond the image, which has %" PRIu64 " bytes", least,
			 pack->result.image_size);
}

static enum blockz_status run(struct pack *pack, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = pack, .job_new = job_new, .job_free = job_free,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take, .work = work, .give = give,
	};
	enum blockz_status status = write_head(pack, fault);
	if (status == BLOCKZ_OK)
		status = pool_run(&jobs, pack->threads, fault);
	if (status == BLOCKZ_OK)
		status = check_end(pack, fault);
	if (status == BLOCKZ_OK)
		status = write_tail(pack, fault);
	if (status == BLOCKZ_OK && pack->params.rewritable && !pack->params.no_index &&
	    pack->format->rewrite_head != NULL)
		status = rewrite_head(pack, fault);
	pack->result.file_size = pack->file_done;
	return status;
}

static enum blockz_status check_level(const struct blockz_pack_options *options, struct pack *pack,
				      struct blockz_fault *fault)
{
	const struct blockz_format *format = &pack->format->public;
	int level = options->level == 0 ? format->level_default : options->level == BLOCKZ_LEVEL_0 ? 0 : options->level;
	if (level < format->level_min || level > format->level_max)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "level %d: %s has levels %d to %d", level,
				 format->name, format->level_min, format->level_max);
	pack->params.level = level;
	return BLOCKZ_OK;
}

static enum blockz_status check_piece_size(const struct blockz_pack_options *options, struct pack *pack,
					   struct blockz_fault *fault)
{
	const struct blockz_format *format = &pack->format->public;
	uint64_t size = options->piece_size;
	if (size != 0 && (size < format->piece_size_min || size > format->piece_size_max))
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
				 "piece size %" PRIu64 ": %s has %" PRIu64 " to %" PRIu64, size, format->name,
				 format->piece_size_min, format->piece_size_max);
	pack->params.piece_size = size;
	return BLOCKZ_OK;
}

static enum blockz_status check_raw(const struct blockz_source *image, const struct blockz_pack_options *options,
				    struct blockz_fault *fault)
{
	for (size_t i = 0; i < options->raw_count; i++) {
		const struct blockz_range *raw = &options->raw[i];
		uint64_t end = raw->end == BLOCKZ_UNKNOWN ? image->size : raw->end;
		if (raw->start > end || (image->size != BLOCKZ_UNKNOWN && end > image->size))
			return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
					 "raw range %" PRIu64 "-%" PRIu64 " does not lie in the image of %" PRIu64 " bytes",
					 raw->start, raw->end, image->size);
	}
	return BLOCKZ_OK;
}

/* As many threads as were asked for, or fewer where their encoders would need more memory than is allowed. */
static enum blockz_status choose_threads(const struct blockz_pack_options *options, struct pack *pack,
					 struct blockz_fault *fault)
{
	uint64_t each = pack->format->encoder_memory(&pack->params);
	pack->threads = pool_threads(options->work.threads);
	if (options->memory == 0)
		return BLOCKZ_OK;
	if (each > options->memory)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
				 "one thread needs %" PRIu64 " bytes of memory, the limit is %" PRIu64, each,
				 options->memory);
	if (pack->threads > options->memory / each)
		pack->threads = (unsigned)(options->memory / each);
	return BLOCKZ_OK;
}

static enum blockz_status check_options(const struct blockz_source *image, const struct blockz_pack_options *options,
					struct pack *pack, struct blockz_fault *fault)
{
	pack->format = format_by_name(options->format);
	if (pack->format == NULL)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "unknown format '%s'", options->format);
	pack->params.image_size = image->size;
	pack->params.extreme = options->extreme;
	pack->params.no_index = options->no_index;
	pack->params.rewritable = pack->sink->ops->rewrite != NULL && image->size != BLOCKZ_UNKNOWN;
	enum blockz_status status = check_level(options, pack, fault);
	if (status == BLOCKZ_OK)
		status = check_piece_size(options, pack, fault);
	if (status == BLOCKZ_OK)
		status = check_raw(image, options, fault);
	if (status == BLOCKZ_OK)
		status = pack->format->choose(options, &pack->params, fault);
	return status == BLOCKZ_OK ? choose_threads(options, pack, fault) : status;
}

EXPORT enum blockz_status blockz_pack(const struct blockz_source *image, const struct blockz_sink *sink,
				      const struct blockz_pack_options *options,
				      struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	struct pack pack = { .image = image, .sink = sink, .work = &options->work };
	enum blockz_status status = check_options(image, options, &pack, fault);
	if (status != BLOCKZ_OK)
		return status;
	pack.raw = calloc(options->raw_count + 1, sizeof(*pack.raw));
	if (pack.raw == NULL)
		return fault_nomem(fault);
	if (options->raw_count > 0)
		memcpy(pack.raw, options->raw, options->raw_count * sizeof(*pack.raw));
	pack.raw_count = blockz_ranges_unite(pack.raw, options->raw_count);
	pack.params.raw_count = pack.raw_count;
	pack.writer = pack.format->writer_new(&pack.params);
	status = pack.writer == NULL ? fault_nomem(fault) : run(&pack, fault);
	pack.format->writer_free(pack.writer);
	buffer_free(&pack.zero_piece);
	free(pack.raw);
	if (status == BLOCKZ_OK)
		*result_ret = pack.result;
	return status;
}
