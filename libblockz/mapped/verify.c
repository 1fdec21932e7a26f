/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verify: each piece is decoded alone, in parallel; then the CRCs of pieces are joined to those that the checks of the
 * file stand for.  An index is taken as a claim: pieces are where it says, each is proved by its own bytes, and
 * together they are the whole stream, so that nothing of it is left to trust.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/equal.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "base/zeros.h"
#include "io/access.h"
#include "mapped/groups.h"
#include "mapped/piece.h"
#include "parallel/pool.h"

enum { ZERO_COPIES_A_JOB = 256 };

struct verify {
	const struct blockz_source *file;
	const struct blockz_map *map;
	const struct blockz_verify_options *options;
	struct groups *groups;
	size_t piece;  /* the next job */
	uint64_t copy; /* of a zero piece */
	/* Where checks have to be joined of several pieces: what is known of each, by its method. */
	bool joins;
	uint64_t *crcs;
	bool *known;
};

struct verify_job {
	size_t piece;
	uint64_t first_copy, copies;
	uint64_t crc;
	bool known;
	struct buffer out, other;
};

static void job_release(void *memory)
{
	struct verify_job *job = memory;
	buffer_free(&job->out);
	buffer_free(&job->other);
}

static void *thread_new(void *ctx)
{
	const struct verify *verify = ctx;
	struct piece_reader *reader = piece_reader_new(verify->file, verify->map);
	if (reader != NULL)
		reader->strict = true;
	return reader;
}

static enum blockz_status take_piece(const struct pool_call *call, bool *done_ret)
{
	struct verify *verify = call->ctx;
	struct verify_job *job = call->job;
	*done_ret = verify->piece == verify->map->piece_count;
	if (*done_ret)
		return BLOCKZ_OK;
	uint64_t left = verify->map->pieces[verify->piece].copies - verify->copy;
	job->piece = verify->piece;
	job->first_copy = verify->copy;
	job->copies = left < ZERO_COPIES_A_JOB ? left : ZERO_COPIES_A_JOB;
	verify->copy += job->copies;
	if (job->copies == left) {
		verify->piece++;
		verify->copy = 0;
	}
	return BLOCKZ_OK;
}

/* Compares image bytes with those of options->against. */
static enum blockz_status compare_bytes(const struct verify *verify, struct verify_job *job, const uint8_t *bytes,
					size_t len, uint64_t start, struct blockz_fault *fault)
{
	const struct blockz_source *against = verify->options->against;
	if (against == NULL)
		return BLOCKZ_OK;
	if (!buffer_reserve(&job->other, len))
		return fault_nomem(fault);
	enum blockz_status status = read_data(against, job->other.bytes, len, start, BLOCKZ_ABOUT_AGAINST, fault);
	if (status != BLOCKZ_OK || memcmp(bytes, job->other.bytes, len) == 0)
		return status;
	size_t i = equal_ahead(bytes, job->other.bytes, len);
	return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN,
			 "image byte %" PRIu64 " is %02x, that of the image to compare with is %02x", start + i, bytes[i],
			 job->other.bytes[i]);
}

/* Zeros, part by part; holes of the other image are not read. */
static enum blockz_status compare_zeros(const struct verify *verify, struct verify_job *job, uint64_t start,
					uint64_t end, struct blockz_fault *fault)
{
	const struct blockz_source *against = verify->options->against;
	if (against == NULL)
		return BLOCKZ_OK;
	if (!buffer_reserve(&job->out, RAW_PART_MAX))
		return fault_nomem(fault);
	memset(job->out.bytes, 0, RAW_PART_MAX);
	enum blockz_status status = BLOCKZ_OK;
	while (start < end && status == BLOCKZ_OK) {
		uint64_t data_start, data_end;
		int error = find_data(against, start, &data_start, &data_end);
		if (error != 0)
			return fault_about(fault, fault_errno(fault, error, BLOCKZ_UNKNOWN,
							      "finding holes in the image to compare with"),
					   BLOCKZ_ABOUT_AGAINST);
		if (data_start >= end)
			break;
		data_end = data_end < end ? data_end : end;
		uint64_t len = data_end - data_start < RAW_PART_MAX ? data_end - data_start : RAW_PART_MAX;
		status = compare_bytes(verify, job, job->out.bytes, (size_t)len, data_start, fault);
		start = data_start + len;
	}
	return status;
}

struct long_check {
	const struct verify *verify;
	struct verify_job *job;
	const struct check_facts *facts;
	struct check_sum sum; /* where the map has a check of the piece */
	uint64_t pos;
	enum blockz_status status;
	struct blockz_fault *fault;
};

static bool emit_check(void *ctx, const uint8_t *bytes, size_t len)
{
	struct long_check *check = ctx;
	if (check->verify->joins && check->facts->poly != NULL)
		check->job->crc = check->facts->update(check->job->crc, bytes, len);
	check_sum_update(&check->sum, bytes, len);
	check->status = compare_bytes(check->verify, check->job, bytes, len, check->pos, check->fault);
	check->pos += len;
	return check->status == BLOCKZ_OK;
}

static enum blockz_status verify_long(const struct verify *verify, struct verify_job *job, struct piece_reader *reader,
				    struct blockz_fault *fault)
{
	const struct piece *piece = &verify->map->pieces[job->piece];
	struct long_check check = {
		.verify = verify, .job = job, .facts = &check_methods[piece->method], .pos = piece->start, .fault = fault,
	};
	uint8_t field[CHECK_LEN_MAX] = { 0 };
	job->crc = 0;
	if (!check_sum_start(&check.sum, piece->has_crc ? piece->method : CHECK_NONE))
		return fault_nomem(fault);
	enum blockz_status status =
		piece_decode_long(reader, piece, piece_image_len(verify->map, job->piece), emit_check, &check, fault);
	check_sum_finish(&check.sum, field);
	job->known = true;
	if (status != BLOCKZ_OK)
		return status;
	return check.status == BLOCKZ_OK ? piece_compare_crc(piece, field, fault) : check.status;
}

static enum blockz_status verify_zeros(const struct verify *verify, struct verify_job *job,
				       struct piece_reader *reader, struct blockz_fault *fault)
{
	const struct piece *piece = &verify->map->pieces[job->piece];
	uint64_t image_len = piece_image_len(verify->map, job->piece);
	uint64_t copy_len = image_len / piece->copies, start = piece->start + job->first_copy * copy_len;
	if (!verify->options->quick) {
		enum blockz_status status = piece_prove_zeros(reader, job->piece, job->first_copy, job->copies, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (verify->joins && check_methods[piece->method].poly != NULL)
		job->crc = crc_zeros(check_methods[piece->method].poly, image_len);
	job->known = true;
	return compare_zeros(verify, job, start, start + job->copies * copy_len, fault);
}

/* A piece of a group. */
static enum blockz_status verify_part(const struct verify *verify, struct verify_job *job, struct piece_reader *reader,
				      const struct group_piece *part, struct blockz_fault *fault)
{
	uint64_t crc = 0, len = part->end - part->piece.start;
	if (!buffer_reserve(&job->out, (size_t)len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status = piece_decode(reader, &part->piece, len, job->out.bytes, verify->joins ? &crc : NULL, fault);
	if (status != BLOCKZ_OK)
		return status;
	job->crc = crc_shift(check_methods[part->piece.method].poly, job->crc, len) ^ crc;
	return compare_bytes(verify, job, job->out.bytes, (size_t)len, part->piece.start, fault);
}

/* The pieces of a group, one after the other; *done_ret false: they cannot be told from each other. */
static enum blockz_status verify_group(const struct verify *verify, struct verify_job *job, struct piece_reader *reader,
				       bool *done_ret, struct blockz_fault *fault)
{
	uint64_t end = map_piece_end(verify->map, job->piece);
	struct group_piece part = { .end = verify->map->pieces[job->piece].start };
	enum blockz_status status = BLOCKZ_OK;
	job->crc = 0;
	while (part.end < end && status == BLOCKZ_OK) {
		status = groups_piece(verify->groups, part.end, &part, fault);
		if (status == BLOCKZ_OK && !part.is_apart)
			return BLOCKZ_OK;
		if (status == BLOCKZ_OK)
			status = verify_part(verify, job, reader, &part, fault);
	}
	job->known = *done_ret = status == BLOCKZ_OK;
	return status;
}

static enum blockz_status verify_piece(const struct pool_call *call)
{
	const struct verify *verify = call->ctx;
	struct verify_job *job = call->job;
	const struct piece *piece = &verify->map->pieces[job->piece];
	if (piece->kind == BLOCKZ_ZERO)
		return verify_zeros(verify, job, call->thread, call->fault);
	if (verify->options->quick && piece->kind == BLOCKZ_COMPRESSED) {
		job->crc = piece->crc;
		job->known = piece->has_crc;
		return BLOCKZ_OK;
	}
	bool done = false;
	if (map_is_group(verify->map, job->piece)) {
		enum blockz_status status = verify_group(verify, job, call->thread, &done, call->fault);
		if (status != BLOCKZ_OK || done)
			return status;
	}
	if (piece_is_long(verify->map, job->piece))
		return verify_long(verify, job, call->thread, call->fault);
	size_t len = (size_t)piece_image_len(verify->map, job->piece);
	if (!buffer_reserve(&job->out, len + DECODE_SLACK))
		return fault_nomem(call->fault);
	uint64_t *crc = verify->joins ? &job->crc : NULL;
	enum blockz_status status = piece->kind == BLOCKZ_RAW
					    ? piece_read_raw_checked(call->thread, job->piece, job->out.bytes, crc, call->fault)
					    : piece_decode(call->thread, piece, len, job->out.bytes, crc, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	job->known = true;
	return compare_bytes(verify, job, job->out.bytes, len, piece->start, call->fault);
}

static enum blockz_status note_crc(const struct pool_call *call)
{
	struct verify *verify = call->ctx;
	const struct verify_job *job = call->job;
	const struct piece *piece = &verify->map->pieces[job->piece];
	verify->crcs[job->piece] = job->crc;
	verify->known[job->piece] = job->known;
	uint64_t done = piece->start +
			piece_image_len(verify->map, job->piece) / piece->copies * (job->first_copy + job->copies);
	return pool_progress(&verify->options->work, done, piece->file_off, call->fault);
}

/* ---- Checks over everything ---- */

/* Those inside a piece were compared when it was read; of others that are not linear the map has compared the copies. */
static bool is_joined(const struct blockz_map *map, const struct check *check)
{
	return !check->of_file && check_methods[check->method].poly != NULL && !map_check_is_inside(map, check);
}

/* The check over an interval of the image from those of its pieces; false where one of them is not known. */
static bool join_crcs(const struct verify *verify, const struct check *check, uint64_t *crc_ret)
{
	const struct blockz_map *map = verify->map;
	uint64_t crc = 0;
	for (size_t i = check->start < check->end ? map_find_piece(map, check->start) : map->piece_count;
	     i < map->piece_count && map->pieces[i].start < check->end; i++) {
		if (!verify->known[i])
			return false;
		crc = crc_shift(check_methods[check->method].poly, crc, piece_image_len(map, i)) ^ verify->crcs[i];
	}
	*crc_ret = crc;
	return true;
}

static enum blockz_status crc_of_file(const struct verify *verify, const struct check *check, uint64_t *crc_ret,
				      struct blockz_fault *fault)
{
	uint8_t bytes[4096];
	uint64_t crc = 0;
	for (uint64_t pos = check->start; pos < check->end;) {
		size_t part = check->end - pos < sizeof(bytes) ? (size_t)(check->end - pos) : sizeof(bytes);
		enum blockz_status status = read_file(verify->file, bytes, part, pos, fault);
		if (status != BLOCKZ_OK)
			return status;
		crc = check_methods[check->method].update(crc, bytes, part);
		pos += part;
	}
	*crc_ret = crc;
	return BLOCKZ_OK;
}

static enum blockz_status verify_check(const struct verify *verify, const struct check *check,
				       struct blockz_fault *fault)
{
	const struct check_facts *facts = &check_methods[check->method];
	uint8_t field[CHECK_LEN_MAX] = { 0 };
	uint64_t crc = 0;
	if (!check->of_file && (!is_joined(verify->map, check) || !join_crcs(verify, check, &crc)))
		return BLOCKZ_OK;
	enum blockz_status status = read_file(verify->file, field, facts->len, check->field_off, fault);
	if (status == BLOCKZ_OK && check->of_file)
		status = crc_of_file(verify, check, &crc, fault);
	if (status != BLOCKZ_OK || load_le64(field) == crc)
		return status;
	return fault_set(fault, BLOCKZ_DAMAGED, check->field_off,
			 "%s of %s bytes %" PRIu64 "-%" PRIu64 ", expected %0*" PRIx64 ", found %0*" PRIx64, facts->name,
			 check->of_file ? "file" : "image", check->start, check->end, (int)(2 * facts->len), crc,
			 (int)(2 * facts->len), load_le64(field));
}

static enum blockz_status check_sizes(const struct verify *verify, struct blockz_fault *fault)
{
	const struct blockz_source *against = verify->options->against;
	if (against != NULL && (verify->options->quick || against->size == BLOCKZ_UNKNOWN))
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
				 "to compare images, the other must be of known size, and this one is decoded");
	if (against != NULL && against->size != verify->map->image_size)
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN,
				 "image has %" PRIu64 " byte%s, the image to compare with %" PRIu64,
				 verify->map->image_size, plural(verify->map->image_size), against->size);
	return BLOCKZ_OK;
}

static enum blockz_status verify_all(struct verify *verify, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = verify, .job_size = sizeof(struct verify_job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = piece_reader_delete,
		.take = take_piece, .work = verify_piece, .give = note_crc,
	};
	const struct blockz_map *map = verify->map;
	enum blockz_status status = check_sizes(verify, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = pool_run(&jobs, verify->options->work.threads, fault);
	for (size_t i = 0; i < map->check_count && status == BLOCKZ_OK; i++)
		status = verify_check(verify, &map->checks[i], fault);
	if (status != BLOCKZ_OK || map->index_fault.status != BLOCKZ_DAMAGED)
		return status;
	if (fault != NULL)
		*fault = map->index_fault;
	return BLOCKZ_DAMAGED;
}

static struct blockz_verify_result summary(const struct blockz_map *map)
{
	struct blockz_verify_result result = { .map = blockz_map_info(map) };
	for (size_t i = 0; i < map->span_count; i++) {
		uint64_t len = map->spans[i].end - map->spans[i].start;
		result.raw_bytes += len;
		result.patchable_bytes += map->spans[i].patchable ? len : 0;
	}
	for (size_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].kind == BLOCKZ_ZERO)
			result.zero_bytes += piece_image_len(map, i);
	return result;
}

EXPORT enum blockz_status blockz_verify(const struct blockz_source *file, const struct blockz_verify_options *options,
					struct blockz_verify_result *result_ret, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	const struct blockz_map_options map_options = { .window_max = options->window_max };
	enum blockz_status status = blockz_map_read(file, &map_options, &map, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct verify verify = { .file = file, .map = map, .options = options };
	for (size_t i = 0; i < map->check_count && !verify.joins; i++)
		verify.joins = is_joined(map, &map->checks[i]);
	verify.crcs = calloc(map->piece_count + 1, sizeof(*verify.crcs));
	verify.known = calloc(map->piece_count + 1, sizeof(*verify.known));
	verify.groups = groups_new(file, map);
	status = verify.crcs == NULL || verify.known == NULL || verify.groups == NULL ? fault_nomem(fault)
										    : verify_all(&verify, fault);
	if (status == BLOCKZ_OK)
		*result_ret = summary(map);
	groups_free(verify.groups);
	free(verify.crcs);
	free(verify.known);
	blockz_map_free(map);
	return status;
}
