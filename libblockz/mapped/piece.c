/* SPDX-License-Identifier: BSD-3-Clause */
/* A piece is decoded whole into memory, with its checks, or proved to be zeros. */
#include "mapped/piece.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/zeros.h"
#include "io/access.h"

bool piece_reader_init(struct piece_reader *reader, const struct blockz_source *file, const struct blockz_map *map)
{
	*reader = (struct piece_reader){ .file = file, .map = map, .decoder = map->format->decoder_new(map->window_max) };
	return reader->decoder != NULL;
}

void piece_reader_free(struct piece_reader *reader)
{
	if (reader->map != NULL) {
		reader->map->format->decoder_free(reader->decoder);
		reader->map->format->cursor_free(reader->cursor);
	}
	buffer_free(&reader->in);
	buffer_free(&reader->zeros);
}

void *piece_reader_new(const struct blockz_source *file, const struct blockz_map *map)
{
	struct piece_reader *reader = malloc(sizeof(*reader));
	if (reader != NULL && !piece_reader_init(reader, file, map)) {
		free(reader);
		return NULL;
	}
	return reader;
}

void piece_reader_delete(void *reader)
{
	piece_reader_free(reader);
	free(reader);
}

uint64_t piece_image_len(const struct blockz_map *map, size_t index)
{
	return map_piece_end(map, index) - map->pieces[index].start;
}

bool piece_is_unverified(const struct piece *piece, const struct format *format)
{
	return piece->kind != BLOCKZ_ZERO && (piece->method == CHECK_NONE || (!piece->has_crc && format->is_one_stream));
}

bool piece_is_long(const struct blockz_map *map, size_t index)
{
	const struct piece *piece = &map->pieces[index];
	return piece_image_len(map, index) / piece->copies > PIECE_MEMORY_MAX ||
	       piece->file_len / piece->copies > PIECE_FILE_MAX;
}

static enum blockz_status read_in(struct piece_reader *reader, uint64_t off, uint64_t len, struct blockz_fault *fault)
{
	if (!buffer_reserve(&reader->in, (size_t)len))
		return fault_nomem(fault);
	return read_file(reader->file, reader->in.bytes, (size_t)len, off, fault);
}

/* The linear check of a piece's bytes, for whoever wants it; and the map's check of them is compared, if it has one. */
static enum blockz_status check_crc(const struct piece *piece, uint64_t image_len, const uint8_t *bytes, uint64_t *crc_ret,
				    struct blockz_fault *fault)
{
	const struct check_facts *facts = &check_methods[piece->method];
	uint8_t field[CHECK_LEN_MAX] = { 0 };
	if (!piece->has_crc && (facts->poly == NULL || crc_ret == NULL))
		return BLOCKZ_OK;
	if (!check_sum(piece->method, bytes, (size_t)image_len, field))
		return fault_nomem(fault);
	if (crc_ret != NULL)
		*crc_ret = load_le64(field);
	return piece_compare_crc(piece, field, fault);
}

enum blockz_status piece_compare_crc(const struct piece *piece, const uint8_t *field, struct blockz_fault *fault)
{
	if (!piece->has_crc || piece->crc == load_le32(field))
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off,
			 "%s of the piece at image offset %" PRIu64 " is %08" PRIx32 ", expected %08" PRIx32,
			 check_methods[piece->method].name, piece->start, load_le32(field), piece->crc);
}

/* Reads the bytes of a piece, of one copy. */
static enum blockz_status read_encoded(struct piece_reader *reader, const struct piece *piece, struct encoded_piece *encoded_ret,
				       struct blockz_fault *fault)
{
	enum blockz_status status = read_in(reader, piece->file_off, piece->file_len, fault);
	*encoded_ret = (struct encoded_piece){
		reader->in.bytes, (size_t)piece->file_len, piece->file_off, piece->method, piece->ends_stream,
		piece->padding, reader->strict,
	};
	return status;
}

enum blockz_status piece_decode(struct piece_reader *reader, const struct piece *piece, uint64_t image_len, uint8_t *out,
				uint64_t *crc_ret, struct blockz_fault *fault)
{
	struct encoded_piece encoded;
	enum blockz_status status = read_encoded(reader, piece, &encoded, fault);
	if (status == BLOCKZ_OK)
		status = reader->map->format->decode(reader->decoder, &encoded, out, (size_t)image_len, fault);
	return status == BLOCKZ_OK ? check_crc(piece, image_len, out, crc_ret, fault) : status;
}

enum blockz_status piece_decode_step(struct piece_reader *reader, const struct piece *piece, uint64_t image_len, void *step,
				     uint8_t *out, size_t wanted, size_t *made_ret, struct blockz_fault *fault)
{
	struct encoded_piece encoded;
	enum blockz_status status = read_encoded(reader, piece, &encoded, fault);
	if (status == BLOCKZ_OK)
		status = reader->map->format->decode_step(reader->decoder, &encoded, step, out, (size_t)image_len, wanted, made_ret,
							  fault);
	return status == BLOCKZ_OK && *made_ret == image_len ? check_crc(piece, image_len, out, NULL, fault) : status;
}

enum blockz_status piece_decode_long(struct piece_reader *reader, const struct piece *piece, uint64_t image_len,
				     decode_emit emit, void *ctx, struct blockz_fault *fault)
{
	const struct format *format = reader->map->format;
	const uint8_t *bytes;
	size_t len = 0;
	if (reader->cursor == NULL)
		reader->cursor = format->cursor_new(reader->file, reader->map->window_max);
	if (reader->cursor == NULL)
		return fault_nomem(fault);
	enum blockz_status status = format->cursor_start(reader->cursor, piece, image_len, fault);
	do {
		if (status == BLOCKZ_OK)
			status = format->cursor_next(reader->cursor, &bytes, &len, fault);
	} while (status == BLOCKZ_OK && len > 0 && emit(ctx, bytes, len));
	return status;
}

static bool emit_zeros(void *ctx, const uint8_t *bytes, size_t len)
{
	bool *zeros = ctx;
	*zeros = all_zeros(bytes, len);
	return *zeros;
}

/* Decodes a zero piece that holds no more than fits into memory. */
static enum blockz_status decode_zeros(struct piece_reader *reader, const struct encoded_piece *encoded, size_t image_len,
				       bool *zeros_ret, struct blockz_fault *fault)
{
	struct buffer out = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	if (!buffer_reserve(&out, image_len + DECODE_SLACK))
		status = fault_nomem(fault);
	else
		status = reader->map->format->decode(reader->decoder, encoded, out.bytes, image_len, fault);
	if (status == BLOCKZ_OK)
		*zeros_ret = all_zeros(out.bytes, image_len);
	buffer_free(&out);
	return status;
}

/* Keeps the bytes of a zero piece, if it decodes to zeros, so that others are compared with it. */
static enum blockz_status learn_zeros(struct piece_reader *reader, const struct encoded_piece *encoded, uint64_t image_len,
				      struct blockz_fault *fault)
{
	const struct piece piece = {
		.file_off = encoded->file_off, .file_len = encoded->len, .method = encoded->method, .padding = encoded->padding & 3,
		.ends_stream = encoded->ends_stream, .copies = 1,
	};
	bool zeros = true;
	enum blockz_status status = BLOCKZ_OK;
	reader->zeros_len = 0;
	if (!buffer_reserve(&reader->zeros, encoded->len))
		status = fault_nomem(fault);
	else if (image_len <= PIECE_MEMORY_MAX)
		status = decode_zeros(reader, encoded, (size_t)image_len, &zeros, fault);
	else
		status = piece_decode_long(reader, &piece, image_len, emit_zeros, &zeros, fault);
	if (status == BLOCKZ_OK && !zeros)
		status = fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off, "a piece that the index calls zero is not");
	if (status != BLOCKZ_OK)
		return status;
	memcpy(reader->zeros.bytes, encoded->bytes, encoded->len);
	reader->zeros_len = encoded->len;
	reader->zeros_image_len = image_len;
	reader->zeros_padding = encoded->padding;
	return BLOCKZ_OK;
}

enum blockz_status piece_prove_zeros(struct piece_reader *reader, size_t index, uint64_t first, uint64_t count,
				     struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[index];
	size_t copy_len = (size_t)(piece->file_len / piece->copies);
	uint64_t image_len = piece_image_len(reader->map, index) / piece->copies;
	uint64_t batch = copy_len < RAW_PART_MAX ? RAW_PART_MAX / copy_len : 1;
	while (count > 0) {
		uint64_t part = count < batch ? count : batch, off = piece->file_off + first * copy_len;
		enum blockz_status status = read_in(reader, off, part * copy_len, fault);
		for (uint64_t i = 0; i < part && status == BLOCKZ_OK; i++) {
			const struct encoded_piece encoded = {
				reader->in.bytes + i * copy_len, copy_len, off + i * copy_len, piece->method,
				piece->ends_stream, piece->padding, reader->strict,
			};
			if (reader->zeros_len == copy_len && reader->zeros_image_len == image_len &&
			    reader->zeros_padding == encoded.padding && memcmp(encoded.bytes, reader->zeros.bytes, copy_len) == 0)
				continue;
			status = learn_zeros(reader, &encoded, image_len, fault);
		}
		if (status != BLOCKZ_OK)
			return status;
		first += part;
		count -= part;
	}
	return BLOCKZ_OK;
}

/* Gathers the payload of image bytes [start, end) of a span from its file bytes, which begin at file_off. */
static void gather(const struct span *span, uint64_t start, uint64_t end, const uint8_t *bytes, uint64_t file_off,
		   uint8_t *out)
{
	for (uint64_t pos = start; pos < end;) {
		struct blockz_extent extent = span_extent(span, pos);
		size_t len = (size_t)(extent.length < end - pos ? extent.length : end - pos);
		memcpy(out + (pos - start), bytes + (extent.file_off - file_off), len);
		pos += len;
	}
}

enum blockz_status piece_read_raw(struct piece_reader *reader, uint64_t start, uint64_t end, uint8_t *out,
				  struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (start < end && status == BLOCKZ_OK) {
		const struct span *span = &reader->map->spans[map_find_span(reader->map, start)];
		uint64_t part_end = end < span->end ? end : span->end;
		uint64_t off = span_extent(span, start).file_off;
		uint64_t last = span_extent(span, part_end - 1).file_off + 1;
		status = read_in(reader, off, last - off, fault);
		if (status == BLOCKZ_OK)
			gather(span, start, part_end, reader->in.bytes, off, out);
		out += part_end - start;
		start = part_end;
	}
	return status;
}

/* Compares a check that stands inside a piece, whose file bytes are in the reader, with the piece's image bytes. */
static enum blockz_status check_inside(const struct piece_reader *reader, const struct piece *piece,
				       const struct check *check, const uint8_t *bytes, struct blockz_fault *fault)
{
	const struct check_facts *facts = &check_methods[check->method];
	uint8_t field[CHECK_LEN_MAX];
	if (!check_sum(check->method, bytes, (size_t)(check->end - check->start), field))
		return fault_nomem(fault);
	if (memcmp(reader->in.bytes + (check->field_off - piece->file_off), field, facts->len) == 0)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_DAMAGED, check->field_off,
			 "%s of the piece at image offset %" PRIu64 " does not match its bytes", facts->name, piece->start);
}

enum blockz_status piece_check_layout(struct piece_reader *reader, size_t index, struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[index];
	enum blockz_status status = read_in(reader, piece->file_off, piece->file_len, fault);
	return status == BLOCKZ_OK ? reader->map->format->layout(reader->map, index, reader->in.bytes, fault) : status;
}

enum blockz_status piece_read_raw_checked(struct piece_reader *reader, size_t index, uint8_t *out,
					  uint64_t *crc_ret, struct blockz_fault *fault)
{
	const struct blockz_map *map = reader->map;
	const struct piece *piece = &map->pieces[index];
	uint64_t end = map_piece_end(map, index);
	enum blockz_status status = piece_check_layout(reader, index, fault);
	if (status != BLOCKZ_OK)
		return status;
	gather(&map->spans[map_find_span(map, piece->start)], piece->start, end, reader->in.bytes, piece->file_off, out);
	for (size_t i = map_find_check(map, piece->start); i < map->check_count && status == BLOCKZ_OK; i++) {
		if (map->checks[i].of_file || map->checks[i].start != piece->start)
			break;
		if (map_check_is_inside(map, &map->checks[i]))
			status = check_inside(reader, piece, &map->checks[i], out, fault);
	}
	if (status != BLOCKZ_OK || (reader->written && check_methods[piece->method].poly == NULL))
		return status;
	return check_crc(&reader->map->pieces[index], piece_image_len(reader->map, index), out, crc_ret, fault);
}
