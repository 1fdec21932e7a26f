/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs of the pool: a piece is taken from the feed, encoded by any thread, and written in order. */
#include "mapped/pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "base/zeros.h"
#include "io/access.h"
#include "parallel/pool.h"

enum {
	ZERO_BATCH = 1024 * 1024, /* bytes of equal zero pieces that are written at once */
	STORE_SHIFT = 4,          /* store_incompressible: a sixteenth, which is not worth decoding for */
};

struct pack {
	const struct pack_task *task;
	const struct format *format; /* the task's */
	void *writer; /* the format's, or whoever else is told of pieces */
	pack_written written;
	uint8_t *zeros; /* zero_size of them */
	/* Writing. */
	struct buffer made; /* by the writer last: head or tail */
	uint64_t file_done;
	struct blockz_pack_result result;
	struct buffer zero_pieces; /* encodings of a zero piece, as many as ZERO_BATCH holds */
	size_t zero_len;           /* of one; 0: not made yet */
	uint64_t zero_tag;         /* as in struct encoding */
};

struct pack_job {
	struct pack_piece piece;
	struct encoding encoding;
};

/* Jobs that wait for their turn have been encoded: what was read is kept by the thread alone. */
struct pack_thread {
	const struct pack *pack;
	void *encoder;
	struct buffer in; /* image bytes of the job under work */
};

static void job_release(void *memory)
{
	struct pack_job *job = memory;
	buffer_free(&job->encoding.out);
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
	const struct pack_params *params = &pack->task->params;
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

static enum blockz_status take_piece(const struct pool_call *call, bool *done_ret)
{
	const struct pack *pack = call->ctx;
	const struct pack_feed *feed = &pack->task->feed;
	const struct pack_thread *self = call->thread;
	struct pack_job *job = call->job;
	job->piece = (struct pack_piece){ .start = 0 };
	enum blockz_status status = feed->next(feed->ctx, &job->piece, self->in.bytes, call->fault);
	*done_ret = job->piece.start == job->piece.end;
	return status;
}

/* ---- Working ---- */

/* The piece is one of those that are written from the same memory. */
static bool is_common_zero(const struct pack *pack, const struct pack_piece *piece)
{
	return piece->kind == BLOCKZ_ZERO && piece->end - piece->start == piece->copies * pack->task->zero_size;
}

static enum blockz_status encode_piece(struct pack_thread *self, const struct pack_piece *piece, const uint8_t *bytes,
				       struct encoding *encoding, struct blockz_fault *fault)
{
	const struct pack *pack = self->pack;
	struct plain_piece plain = {
		.bytes = bytes, .len = (size_t)(piece->end - piece->start), .start = piece->start, .raw = piece->kind == BLOCKZ_RAW,
	};
	enum blockz_status status = pack->format->encode(self->encoder, &plain, encoding, fault);
	if (status != BLOCKZ_OK || plain.raw || !pack->task->store_incompressible ||
	    encoding->len < plain.len - (plain.len >> STORE_SHIFT))
		return status;
	plain.raw = true;
	return pack->format->encode(self->encoder, &plain, encoding, fault);
}

static enum blockz_status fetch_and_encode_piece(const struct pool_call *call)
{
	const struct pack *pack = call->ctx;
	const struct pack_feed *feed = &pack->task->feed;
	struct pack_thread *self = call->thread;
	struct pack_job *job = call->job;
	struct pack_piece *piece = &job->piece;
	struct encoding *encoding = &job->encoding;
	if (is_common_zero(pack, piece))
		return BLOCKZ_OK;
	if (piece->kind == BLOCKZ_ZERO)
		return encode_piece(self, piece, pack->zeros, encoding, call->fault);
	encoding->len = 0;
	enum blockz_status status =
		feed->fetch != NULL ? feed->fetch(feed->ctx, piece, self->in.bytes, encoding, call->fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK || encoding->len > 0)
		return status;
	if (piece->may_be_zero && all_zeros(self->in.bytes, (size_t)(piece->end - piece->start)))
		piece->kind = BLOCKZ_ZERO;
	return is_common_zero(pack, piece) ? BLOCKZ_OK : encode_piece(self, piece, self->in.bytes, encoding, call->fault);
}

/* ---- Writing ---- */

/* Encodes a zero piece once, and repeats it in memory so that many are written at once. */
static enum blockz_status make_zero_piece(struct pack *pack, void *encoder, struct blockz_fault *fault)
{
	const struct plain_piece plain = { .bytes = pack->zeros, .len = (size_t)pack->task->zero_size };
	struct encoding one = { .len = 0 };
	enum blockz_status status = pack->format->encode(encoder, &plain, &one, fault);
	if (status == BLOCKZ_OK && !buffer_reserve(&pack->zero_pieces, ZERO_BATCH + one.len))
		status = fault_nomem(fault);
	if (status == BLOCKZ_OK) {
		for (size_t pos = 0; pos < ZERO_BATCH; pos += one.len)
			memcpy(pack->zero_pieces.bytes + pos, one.out.bytes, one.len);
		pack->zero_len = one.len;
		pack->zero_tag = one.tag;
	}
	buffer_free(&one.out);
	return status;
}

static enum blockz_status write_zero_pieces(struct pack *pack, uint64_t copies, void *encoder, struct blockz_fault *fault)
{
	enum blockz_status status = pack->zero_len == 0 ? make_zero_piece(pack, encoder, fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	uint64_t batch = pack->zero_len < ZERO_BATCH ? ZERO_BATCH / pack->zero_len : 1;
	while (copies > 0 && status == BLOCKZ_OK) {
		uint64_t part = min(copies, batch);
		status = write_out(pack->task->sink, pack->zero_pieces.bytes, (size_t)part * pack->zero_len, fault);
		copies -= part;
	}
	return status;
}

static enum blockz_status write_code(struct pack *pack, const struct pack_job *job, void *encoder,
				     struct written_piece *written_ret, struct blockz_fault *fault)
{
	const struct pack_piece *piece = &job->piece;
	bool common = is_common_zero(pack, piece);
	enum blockz_status status = common ? write_zero_pieces(pack, piece->copies, encoder, fault)
					   : write_out(pack->task->sink, job->encoding.out.bytes, job->encoding.len, fault);
	*written_ret = (struct written_piece){
		.kind = piece->kind, .start = piece->start, .end = piece->end, .copies = piece->copies,
		.file_len = common ? piece->copies * pack->zero_len : job->encoding.len,
		.tag = common ? pack->zero_tag : job->encoding.tag,
	};
	return status;
}

static enum blockz_status write_piece(const struct pool_call *call)
{
	struct pack *pack = call->ctx;
	const struct pack_thread *self = call->thread;
	struct written_piece written;
	enum blockz_status status = write_code(pack, call->job, self->encoder, &written, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = pack->written(pack->writer, &written, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	if (written.kind == BLOCKZ_RAW)
		pack->result.raw_bytes += written.end - written.start;
	if (written.kind == BLOCKZ_ZERO)
		pack->result.zero_bytes += written.end - written.start;
	pack->result.pieces += written.copies;
	pack->result.image_size = written.end;
	pack->file_done += written.file_len;
	return pool_progress(pack->task->work, written.end, pack->file_done, call->fault);
}

/* ---- The whole ---- */

/* Writes what the format's writer has made, if that went well (status). */
static enum blockz_status write_made(struct pack *pack, enum blockz_status status, size_t len, struct blockz_fault *fault)
{
	pack->file_done += len;
	return status == BLOCKZ_OK && len > 0 ? write_out(pack->task->sink, pack->made.bytes, len, fault) : status;
}

static enum blockz_status write_head(struct pack *pack, struct blockz_fault *fault)
{
	size_t len = 0;
	enum blockz_status status = pack->format->write_head(pack->writer, &pack->made, &len, fault);
	return write_made(pack, status, len, fault);
}

static enum blockz_status write_tail(struct pack *pack, struct blockz_fault *fault)
{
	size_t len = 0;
	enum blockz_status status = pack->format->write_tail(pack->writer, &pack->made, &len,
							     &pack->result.index_piece_size, fault);
	return write_made(pack, status, len, fault);
}

static enum blockz_status rewrite_head(struct pack *pack, struct blockz_fault *fault)
{
	size_t len = 0;
	enum blockz_status status = pack->format->rewrite_head(pack->writer, &pack->made, &len,
							       &pack->result.index_piece_size, fault);
	if (status != BLOCKZ_OK || len == 0)
		return status;
	int error = pack->task->sink->ops->rewrite(pack->task->sink->ctx, pack->made.bytes, len, 0);
	return error == 0 ? BLOCKZ_OK : write_failed(error, fault);
}

static enum blockz_status write_pieces(struct pack *pack, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = pack, .job_size = sizeof(struct pack_job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take_piece, .work = fetch_and_encode_piece, .give = write_piece,
	};
	return pool_run(&jobs, pack->task->threads, fault);
}

static enum blockz_status write_all(struct pack *pack, struct blockz_fault *fault)
{
	const struct pack_params *params = &pack->task->params;
	enum blockz_status status = write_head(pack, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = write_pieces(pack, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = write_tail(pack, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (params->rewritable && !params->no_index && pack->format->rewrite_head != NULL)
		status = rewrite_head(pack, fault);
	pack->result.file_size = pack->file_done;
	return status;
}

enum blockz_status pack_run_pieces(const struct pack_task *task, pack_written written, void *ctx, struct blockz_fault *fault)
{
	struct pack pack = { .task = task, .format = task->format, .writer = ctx, .written = written };
	pack.zeros = calloc(1, (size_t)task->zero_size);
	enum blockz_status status = pack.zeros == NULL ? fault_nomem(fault) : write_pieces(&pack, fault);
	buffer_free(&pack.zero_pieces);
	free(pack.zeros);
	return status;
}

enum blockz_status pack_run(const struct pack_task *task, struct blockz_pack_result *result_ret,
			    struct blockz_fault *fault)
{
	struct pack pack = { .task = task, .format = task->format, .written = task->format->write_piece };
	pack.zeros = calloc(1, (size_t)task->zero_size);
	pack.writer = task->format->writer_new(&task->params);
	enum blockz_status status = pack.zeros == NULL || pack.writer == NULL ? fault_nomem(fault) : write_all(&pack, fault);
	task->format->writer_free(pack.writer);
	buffer_free(&pack.zero_pieces);
	buffer_free(&pack.made);
	free(pack.zeros);
	if (status == BLOCKZ_OK)
		*result_ret = pack.result;
	return status;
}
