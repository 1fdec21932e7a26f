/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the image: at any offset, and whole ranges in parallel. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "io/access.h"
#include "mapped/groups.h"
#include "mapped/long_reader.h"
#include "mapped/piece.h"
#include "parallel/pool.h"

enum { LONG_CACHE = 16 << 20 }; /* bytes of long pieces that a reader keeps */

enum segment_kind { SEGMENT_DECODE, SEGMENT_RAW, SEGMENT_ZERO, SEGMENT_LONG };

/* A part of the image that is read in one way: part of a piece, or of a raw span, or copies of a zero piece. */
struct segment {
	enum segment_kind kind;
	uint64_t start, end;
	size_t piece;
	struct group_piece part; /* SEGMENT_DECODE: what is decoded */
	bool whole; /* SEGMENT_RAW: a whole raw piece, which can be checked */
};

/* As below, but for what has to be known of a piece that is decoded. */
static struct segment find_segment(const struct blockz_map *map, uint64_t pos, uint64_t end)
{
	struct segment segment = { .start = pos, .piece = map_find_piece(map, pos) };
	const struct piece *piece = &map->pieces[segment.piece];
	size_t span_index = map_find_span(map, pos);
	const struct span *span = span_index < map->span_count ? &map->spans[span_index] : NULL;
	segment.end = min(end, map_piece_end(map, segment.piece));
	if (span != NULL && span->start <= pos && (piece->kind == BLOCKZ_RAW || span->end >= segment.end)) {
		segment.kind = SEGMENT_RAW;
		segment.whole = piece->kind == BLOCKZ_RAW && pos == piece->start &&
				segment.end == map_piece_end(map, segment.piece);
		if (!segment.whole)
			segment.end = min(segment.end, pos + RAW_PART_MAX);
	} else if (piece->kind == BLOCKZ_ZERO) {
		segment.kind = SEGMENT_ZERO;
		/* As many copies as a moderate part of the file holds. */
		uint64_t copy_len = piece_image_len(map, segment.piece) / piece->copies;
		uint64_t copies = RAW_PART_MAX / (piece->file_len / piece->copies) + 1;
		uint64_t first = (pos - piece->start) / copy_len;
		if (copies < piece->copies - first)
			segment.end = min(segment.end, piece->start + (first + copies) * copy_len);
	} else {
		segment.kind = SEGMENT_DECODE;
	}
	return segment;
}

/* The segment at image offset pos, which ends at `end` at the latest. */
static enum blockz_status segment_at(const struct blockz_map *map, struct groups *groups, uint64_t pos, uint64_t end,
				     struct segment *segment_ret, struct blockz_fault *fault)
{
	struct segment segment = find_segment(map, pos, end);
	if (segment.kind == SEGMENT_DECODE) {
		enum blockz_status status = groups_piece(groups, pos, &segment.part, fault);
		if (status != BLOCKZ_OK)
			return status;
		segment.end = min(segment.end, segment.part.end);
		if (!segment.part.is_apart && piece_is_long(map, segment.piece))
			segment.kind = SEGMENT_LONG;
	}
	*segment_ret = segment;
	return BLOCKZ_OK;
}

static enum blockz_status prove_zeros(struct piece_reader *reader, const struct segment *segment,
				      struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[segment->piece];
	uint64_t copy_len = piece_image_len(reader->map, segment->piece) / piece->copies;
	uint64_t first = (segment->start - piece->start) / copy_len;
	uint64_t last = (segment->end - 1 - piece->start) / copy_len;
	return piece_prove_zeros(reader, segment->piece, first, last - first + 1, fault);
}

static enum blockz_status read_raw(struct piece_reader *reader, const struct segment *segment, uint8_t *out,
				   struct blockz_fault *fault)
{
	return segment->whole ? piece_read_raw_checked(reader, segment->piece, out, NULL, fault)
			      : piece_read_raw(reader, segment->start, segment->end, out, fault);
}

/* Passes on the part [start, end) of a long piece that is decoded from its beginning. */
struct window {
	uint64_t pos, start, end; /* image offsets */
	const struct blockz_sink *sink;
	enum blockz_status status;
	struct blockz_fault *fault;
};

static bool emit_window(void *ctx, const uint8_t *bytes, size_t len)
{
	struct window *window = ctx;
	uint64_t from = window->start > window->pos ? min(window->start - window->pos, len) : 0;
	uint64_t to = min(window->end - window->pos, len);
	if (from < to)
		window->status = write_out(window->sink, bytes + from, (size_t)(to - from), window->fault);
	window->pos += len;
	return window->status == BLOCKZ_OK && window->pos < window->end;
}

static enum blockz_status read_long(struct piece_reader *reader, const struct segment *segment,
				    const struct blockz_sink *sink, struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[segment->piece];
	struct window window = {
		.pos = piece->start, .start = segment->start, .end = segment->end, .sink = sink, .fault = fault,
	};
	enum blockz_status status =
		piece_decode_long(reader, piece, piece_image_len(reader->map, segment->piece), emit_window, &window, fault);
	return status != BLOCKZ_OK ? status : window.status;
}

/* ---- Extract: segments in parallel ---- */

struct extract {
	const struct blockz_source *file;
	const struct blockz_map *map;
	struct groups *groups;
	const struct blockz_sink *sink;
	const struct blockz_work *work;
	uint64_t start, pos, end;
};

struct extract_job {
	struct segment segment;
	struct buffer out;
	const uint8_t *bytes; /* of the segment, in out; NULL: zeros, or a long piece that is read when it is its turn */
};

static void job_release(void *memory)
{
	struct extract_job *job = memory;
	buffer_free(&job->out);
}

static void *thread_new(void *ctx)
{
	const struct extract *extract = ctx;
	return piece_reader_new(extract->file, extract->map);
}

static enum blockz_status take_segment(const struct pool_call *call, bool *done_ret)
{
	struct extract *extract = call->ctx;
	struct extract_job *job = call->job;
	*done_ret = extract->pos >= extract->end;
	if (*done_ret)
		return BLOCKZ_OK;
	enum blockz_status status =
		segment_at(extract->map, extract->groups, extract->pos, extract->end, &job->segment, call->fault);
	if (status == BLOCKZ_OK)
		extract->pos = job->segment.end;
	return status;
}

static enum blockz_status fill_segment(const struct pool_call *call)
{
	struct extract_job *job = call->job;
	const struct segment *segment = &job->segment;
	job->bytes = NULL;
	if (segment->kind == SEGMENT_LONG)
		return BLOCKZ_OK;
	if (segment->kind == SEGMENT_ZERO)
		return prove_zeros(call->thread, segment, call->fault);
	bool whole = segment->kind == SEGMENT_DECODE;
	uint64_t len = whole ? segment->part.end - segment->part.piece.start : segment->end - segment->start;
	if (!buffer_reserve(&job->out, (size_t)len + DECODE_SLACK))
		return fault_nomem(call->fault);
	job->bytes = job->out.bytes + (whole ? segment->start - segment->part.piece.start : 0);
	return whole ? piece_decode(call->thread, &segment->part.piece, len, job->out.bytes, NULL, call->fault)
		     : read_raw(call->thread, segment, job->out.bytes, call->fault);
}

static enum blockz_status write_segment(const struct pool_call *call)
{
	const struct extract *extract = call->ctx;
	const struct extract_job *job = call->job;
	const struct segment *segment = &job->segment;
	enum blockz_status status;
	if (segment->kind == SEGMENT_LONG)
		status = read_long(call->thread, segment, extract->sink, call->fault);
	else if (segment->kind == SEGMENT_ZERO)
		status = write_zeros(extract->sink, segment->end - segment->start, call->fault);
	else
		status = write_out(extract->sink, job->bytes, (size_t)(segment->end - segment->start), call->fault);
	if (status != BLOCKZ_OK)
		return status;
	return pool_progress(extract->work, segment->end - extract->start, extract->map->pieces[segment->piece].file_off,
			     call->fault);
}

static enum blockz_status check_range(const struct blockz_map *map, uint64_t start, uint64_t end,
				      struct blockz_fault *fault)
{
	if (start > end || end > map->image_size)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
				 "range %" PRIu64 "-%" PRIu64 " does not lie in the image of %" PRIu64 " byte%s", start, end,
				 map->image_size, plural(map->image_size));
	return BLOCKZ_OK;
}

EXPORT enum blockz_status blockz_extract(const struct blockz_source *file, const struct blockz_map *map,
					 struct blockz_range range, const struct blockz_sink *sink,
					 const struct blockz_work *options, struct blockz_fault *fault)
{
	struct extract extract = {
		.file = file, .map = map, .groups = groups_new(file, map), .sink = sink, .work = options,
		.start = range.start, .pos = range.start, .end = range.end,
	};
	const struct pool_jobs jobs = {
		.ctx = &extract, .job_size = sizeof(struct extract_job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = piece_reader_delete,
		.take = take_segment, .work = fill_segment, .give = write_segment,
	};
	enum blockz_status status = check_range(map, range.start, range.end, fault);
	if (status == BLOCKZ_OK)
		status = extract.groups != NULL ? pool_run(&jobs, options->threads, fault) : fault_nomem(fault);
	groups_free(extract.groups);
	return status;
}

/* ---- Readers: any offset, the last piece kept ---- */

struct blockz_reader {
	struct piece_reader pieces;
	struct groups *groups;
	struct long_reader *longs; /* NULL until there is one */
	struct buffer cache;
	uint64_t cached; /* image offset of the piece in cache; BLOCKZ_UNKNOWN: none */
};

EXPORT enum blockz_status blockz_reader_new(const struct blockz_source *file, const struct blockz_map *map,
					    struct blockz_reader **reader_ret, struct blockz_fault *fault)
{
	struct blockz_reader *reader = calloc(1, sizeof(*reader));
	struct groups *groups = groups_new(file, map);
	if (reader == NULL || groups == NULL || !piece_reader_init(&reader->pieces, file, map)) {
		free(reader);
		groups_free(groups);
		return fault_nomem(fault);
	}
	reader->groups = groups;
	reader->cached = BLOCKZ_UNKNOWN;
	*reader_ret = reader;
	return BLOCKZ_OK;
}

EXPORT void blockz_reader_free(struct blockz_reader *reader)
{
	if (reader == NULL)
		return;
	groups_free(reader->groups);
	long_reader_free(reader->longs);
	piece_reader_free(&reader->pieces);
	buffer_free(&reader->cache);
	free(reader);
}

static enum blockz_status read_piece(struct blockz_reader *reader, const struct segment *segment, uint8_t *out,
				     struct blockz_fault *fault)
{
	const struct piece *piece = &segment->part.piece;
	uint64_t image_len = segment->part.end - piece->start;
	if (reader->cached != piece->start) {
		reader->cached = BLOCKZ_UNKNOWN;
		if (!buffer_reserve(&reader->cache, (size_t)image_len + DECODE_SLACK))
			return fault_nomem(fault);
		enum blockz_status status = piece_decode(&reader->pieces, piece, image_len, reader->cache.bytes, NULL, fault);
		if (status != BLOCKZ_OK)
			return status;
		reader->cached = piece->start;
	}
	memcpy(out, reader->cache.bytes + (segment->start - piece->start), (size_t)(segment->end - segment->start));
	return BLOCKZ_OK;
}

static enum blockz_status read_from_long(struct blockz_reader *reader, const struct segment *segment, uint8_t *out,
					 struct blockz_fault *fault)
{
	if (reader->longs == NULL)
		reader->longs = long_reader_new(reader->pieces.file, reader->pieces.map, LONG_CACHE);
	if (reader->longs == NULL)
		return fault_nomem(fault);
	return long_reader_read(reader->longs, segment->piece, segment->start, segment->end, out, fault);
}

static enum blockz_status read_segment(struct blockz_reader *reader, const struct segment *segment, uint8_t *out,
				       struct blockz_fault *fault)
{
	enum blockz_status status;
	switch (segment->kind) {
	case SEGMENT_RAW:
		return read_raw(&reader->pieces, segment, out, fault);
	case SEGMENT_ZERO:
		status = prove_zeros(&reader->pieces, segment, fault);
		memset(out, 0, (size_t)(segment->end - segment->start));
		return status;
	case SEGMENT_LONG:
		return read_from_long(reader, segment, out, fault);
	default:
		return read_piece(reader, segment, out, fault);
	}
}

EXPORT enum blockz_status blockz_reader_read(struct blockz_reader *reader, void *buf, size_t len, uint64_t off,
					     struct blockz_fault *fault)
{
	uint64_t end = off + len;
	enum blockz_status status = check_range(reader->pieces.map, off, end, fault);
	uint8_t *out = buf;
	while (off < end && status == BLOCKZ_OK) {
		struct segment segment = { .end = off };
		status = segment_at(reader->pieces.map, reader->groups, off, end, &segment, fault);
		if (status == BLOCKZ_OK)
			status = read_segment(reader, &segment, out, fault);
		out += segment.end - off;
		off = segment.end;
	}
	return status;
}
