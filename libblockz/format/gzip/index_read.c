/* SPDX-License-Identifier: BSD-3-Clause */
/* An index is checked against itself and the file while it is read; nothing in it is believed. */
#include "format/gzip/index_read.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "check/crc.h"
#include "format/deflate/encode.h"

struct input {
	const uint8_t *bytes;
	size_t pos, end;
	uint64_t index_off; /* file offset of bytes[0] */
	uint64_t image_size;
	struct index_cuts cuts;
	uint64_t image_pos, file_pos; /* behind the pieces read so far */
	struct blockz_map *map;
	struct blockz_fault *fault;
};

static enum blockz_status damaged(const struct input *in, const char *what)
{
	return fault_set(in->fault, BLOCKZ_DAMAGED, in->index_off + in->pos, "index: %s", what);
}

static enum blockz_status read_varint(struct input *in, uint64_t *value_ret)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 63; shift += 7) {
		if (in->pos == in->end)
			return damaged(in, "ends within an entry");
		uint8_t byte = in->bytes[in->pos++];
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value_ret = value;
			return BLOCKZ_OK;
		}
	}
	return damaged(in, "a number of more than 63 bits");
}

/* Adds `copies` pieces, one item of the map, that hold image_len bytes in file_len bytes. */
static enum blockz_status add_piece(struct input *in, enum blockz_kind kind, uint64_t image_len, uint64_t file_len,
				    uint64_t copies)
{
	struct piece piece = {
		.start = in->image_pos, .file_off = in->file_pos, .file_len = file_len, .kind = kind,
		.method = CHECK_CRC32, .copies = (uint32_t)copies,
	};
	enum blockz_status status = map_add_piece(in->map, &piece, in->fault);
	in->image_pos += image_len;
	in->file_pos += file_len;
	return status;
}

/* Adds zero pieces, as many in an item as one can count. */
static enum blockz_status add_zeros(struct input *in, uint64_t copy_len, uint64_t copies)
{
	enum blockz_status status = BLOCKZ_OK;
	while (copies > 0 && status == BLOCKZ_OK) {
		uint64_t part = copies < PIECE_COPIES_MAX ? copies : PIECE_COPIES_MAX;
		status = add_piece(in, BLOCKZ_ZERO, part * in->cuts.piece, part * copy_len, part);
		copies -= part;
	}
	return status;
}

/* Adds a raw range as a span, and as pieces. */
static enum blockz_status add_raw(struct input *in, uint64_t image_len)
{
	uint64_t end = in->image_pos + image_len;
	struct span span = {
		.start = in->image_pos, .end = end, .file_off = in->file_pos,
		.stride = STORED_PAYLOAD, .header_len = STORED_HEADER_LEN, .patchable = true,
	};
	enum blockz_status status = map_add_span(in->map, &span, in->fault);
	while (status == BLOCKZ_OK && in->image_pos < end) {
		uint64_t len = in->cuts.raw - in->image_pos % in->cuts.raw;
		if (len > end - in->image_pos)
			len = end - in->image_pos;
		status = add_piece(in, BLOCKZ_RAW, len, stored_len(in->image_pos, in->image_pos + len), 1);
	}
	return status;
}

/* The image length of an entry. */
static enum blockz_status entry_length(struct input *in, enum index_type type, uint64_t *len_ret, uint64_t *copies_ret)
{
	uint64_t left = in->image_size - in->image_pos, len;
	uint64_t to_edge = in->cuts.group - in->image_pos % in->cuts.group, copies = 1;
	if (type == INDEX_DATA) {
		len = to_edge < left ? to_edge : left;
	} else {
		enum blockz_status status = read_varint(in, &len);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (type == INDEX_ZERO) {
		copies = len;
		if (in->image_pos % in->cuts.piece != 0 || !checked_mul(copies, in->cuts.piece, &len))
			return damaged(in, "a run of zero pieces that does not start at a piece, or is too long");
	}
	if (len == 0 || len > left || (type == INDEX_SHORT && len >= to_edge))
		return damaged(in, "pieces do not add up to the image");
	*len_ret = len;
	*copies_ret = copies;
	return BLOCKZ_OK;
}

static enum blockz_status read_entry(struct input *in)
{
	uint64_t value = 0, image_len = 0, copies = 1;
	enum blockz_status status = read_varint(in, &value);
	if (status != BLOCKZ_OK)
		return status;
	enum index_type type = value & 3;
	uint64_t copy_len = value >> 2, file_len;
	status = entry_length(in, type, &image_len, &copies);
	if (status != BLOCKZ_OK)
		return status;
	/* Deflate expands by little; more is a lie, and would cost memory. */
	uint64_t copy_image_len = image_len / copies;
	if (type == INDEX_RAW ? copy_len != stored_len(in->image_pos, in->image_pos + image_len)
			      : copy_len < FLUSH_MARK_LEN || copy_len > copy_image_len + copy_image_len / 8 + 1024)
		return damaged(in, "a piece's length cannot be right");
	if (!checked_mul(copy_len, copies, &file_len) || file_len > in->map->end_off - in->file_pos)
		return damaged(in, "pieces lie beyond the end of the file");
	switch (type) {
	case INDEX_RAW:
		return add_raw(in, image_len);
	case INDEX_ZERO:
		return add_zeros(in, copy_len, copies);
	default:
		return add_piece(in, BLOCKZ_COMPRESSED, image_len, file_len, copies);
	}
}

/* Gives each raw piece, and each data piece if they have them, its CRC; those of raw pieces are checks to keep. */
static enum blockz_status read_crcs(struct input *in, bool data_crcs)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < in->map->piece_count && status == BLOCKZ_OK; i++) {
		struct piece *piece = &in->map->pieces[i];
		if (piece->kind == BLOCKZ_ZERO || (piece->kind == BLOCKZ_COMPRESSED && !data_crcs))
			continue;
		if (in->end - in->pos < INDEX_CRC_LEN)
			return damaged(in, "ends within the CRCs");
		piece->crc = load_le32(in->bytes + in->pos);
		piece->has_crc = 1;
		status = map_add_check(in->map, &(struct check){
			piece->start, map_piece_end(in->map, i), in->index_off + in->pos, CHECK_CRC32, false,
		}, in->fault);
		in->pos += INDEX_CRC_LEN;
	}
	return status;
}

struct index_cuts index_cuts_of(const uint8_t *bytes)
{
	const uint64_t one = 1;
	struct index_cuts cuts = { .piece = one << bytes[INDEX_PIECE_LOG_OFF] };
	bool groups = bytes[INDEX_VERSION_OFF] == INDEX_VERSION_GROUPS;
	cuts.group = groups ? one << bytes[INDEX_GROUP_LOG_OFF] : cuts.piece;
	cuts.raw = groups ? one << bytes[INDEX_RAW_LOG_OFF] : cuts.piece;
	return cuts;
}

/* Whether the image can be cut by sizes of which these are the logarithms. */
static bool cuts_are_right(const uint8_t *bytes)
{
	uint8_t piece = bytes[INDEX_PIECE_LOG_OFF], group = bytes[INDEX_GROUP_LOG_OFF], raw = bytes[INDEX_RAW_LOG_OFF];
	if (piece < INDEX_PIECE_LOG_MIN || piece > INDEX_PIECE_LOG_MAX)
		return false;
	return bytes[INDEX_VERSION_OFF] == INDEX_VERSION_PIECES ||
	       (group >= piece && group <= INDEX_GROUP_LOG_MAX && raw >= piece && raw <= INDEX_PIECE_LOG_MAX);
}

/* Whether there is such a version, with such flags. */
static bool is_known(const uint8_t *bytes)
{
	uint8_t version = bytes[INDEX_VERSION_OFF], flags = bytes[INDEX_FLAGS_OFF];
	return version == INDEX_VERSION_GROUPS ? flags == 0
					       : version == INDEX_VERSION_PIECES && (flags & ~INDEX_FLAG_DATA_CRCS) == 0;
}

static enum blockz_status read_facts(struct input *in, size_t len, const uint8_t *trailer)
{
	const uint8_t *bytes = in->bytes;
	uint32_t crc = crc32_update(0, bytes, len - INDEX_CRC_LEN), stored = load_le32(bytes + len - INDEX_CRC_LEN);
	if (crc != stored)
		return fault_set(in->fault, BLOCKZ_DAMAGED, in->index_off + len - INDEX_CRC_LEN,
				 "index: CRC-32 is %08" PRIx32 ", expected %08" PRIx32, stored, crc);
	if (!is_known(bytes))
		return fault_set(in->fault, BLOCKZ_UNSUPPORTED, in->index_off, "index: version %u, flags %02x",
				 bytes[INDEX_VERSION_OFF], bytes[INDEX_FLAGS_OFF]);
	uint64_t file_size = load_le64(bytes + INDEX_FILE_SIZE_OFF);
	if (file_size != in->map->end_off)
		return fault_set(in->fault, BLOCKZ_DAMAGED, in->index_off + INDEX_FILE_SIZE_OFF,
				 "index: made for a file of %" PRIu64 " byte%s, this one has %" PRIu64, file_size,
				 plural(file_size), in->map->file_size);
	if (memcmp(bytes + INDEX_TRAILER_OFF, trailer, GZIP_TRAILER_LEN) != 0)
		return fault_set(in->fault, BLOCKZ_DAMAGED, in->index_off + INDEX_TRAILER_OFF,
				 "index: its copy of the trailer differs from the trailer");
	uint64_t image_size = load_le64(bytes + INDEX_IMAGE_SIZE_OFF);
	if (image_size > INT64_MAX || (uint32_t)image_size != load_le32(trailer + 4) || !cuts_are_right(bytes))
		return fault_set(in->fault, BLOCKZ_DAMAGED, in->index_off + INDEX_IMAGE_SIZE_OFF,
				 "index: image size or piece size cannot be right");
	in->image_size = in->map->image_size = image_size;
	in->cuts = index_cuts_of(bytes);
	return BLOCKZ_OK;
}

static enum blockz_status read_count(struct input *in, uint64_t *count_ret)
{
	bool groups = in->bytes[INDEX_VERSION_OFF] == INDEX_VERSION_GROUPS;
	in->map->group_cut = groups ? in->cuts.piece : 0;
	in->pos = groups ? INDEX_GROUPS_COUNT_OFF : INDEX_COUNT_OFF;
	return in->pos < in->end ? read_varint(in, count_ret) : damaged(in, "ends before its entries");
}

/* The checks that a patch has to keep beside those of pieces, in the order in which they are computed. */
static enum blockz_status add_checks(struct input *in, size_t len)
{
	uint64_t trailer_off = in->map->end_off - GZIP_TRAILER_LEN, end = in->index_off + len - INDEX_CRC_LEN;
	struct check trailer = { 0, in->image_size, trailer_off, CHECK_CRC32, false };
	struct check copy = { 0, in->image_size, in->index_off + INDEX_TRAILER_OFF, CHECK_CRC32, false };
	struct check self = { in->index_off, end, end, CHECK_CRC32, true };
	enum blockz_status status = map_add_check(in->map, &trailer, in->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = map_add_check(in->map, &copy, in->fault);
	return status == BLOCKZ_OK ? map_add_check(in->map, &self, in->fault) : status;
}

bool index_is_own(const uint8_t *bytes, size_t len, uint64_t file_size, const uint8_t trailer[GZIP_TRAILER_LEN])
{
	static const uint8_t empty[GZIP_TRAILER_LEN]; /* an image of no bytes, whose trailer others may have by chance */
	const uint8_t *copy = bytes + INDEX_TRAILER_OFF;
	if (crc32_update(0, bytes, len - INDEX_CRC_LEN) == load_le32(bytes + len - INDEX_CRC_LEN))
		return bytes[INDEX_VERSION_OFF] != INDEX_VERSION_NONE;
	return load_le64(bytes + INDEX_FILE_SIZE_OFF) == file_size ||
	       (memcmp(copy, trailer, GZIP_TRAILER_LEN) == 0 && memcmp(copy, empty, sizeof(empty)) != 0);
}

enum blockz_status index_read(const uint8_t *bytes, size_t len, uint64_t index_off, uint64_t body_off,
			      const uint8_t *trailer, struct blockz_map *map, struct blockz_fault *fault)
{
	if (len < INDEX_LEN_MIN || len > INDEX_LEN_MAX)
		return fault_set(fault, BLOCKZ_DAMAGED, index_off, "index: %zu byte%s long", len, plural(len));
	struct input in = {
		.bytes = bytes, .end = len - INDEX_CRC_LEN, .index_off = index_off,
		.file_pos = body_off, .map = map, .fault = fault,
	};
	uint64_t count = 0;
	enum blockz_status status = read_facts(&in, len, trailer);
	if (status == BLOCKZ_OK)
		status = read_count(&in, &count);
	for (uint64_t i = 0; i < count && status == BLOCKZ_OK; i++)
		status = read_entry(&in);
	if (status != BLOCKZ_OK)
		return status;
	if (in.image_pos != in.image_size)
		return damaged(&in, "pieces do not add up to the image");
	if (in.file_pos + END_LEN + GZIP_TRAILER_LEN != map->end_off)
		return damaged(&in, "pieces do not add up to the file");
	status = read_crcs(&in, bytes[INDEX_FLAGS_OFF] & INDEX_FLAG_DATA_CRCS);
	while (status == BLOCKZ_OK && in.pos < in.end)
		if (bytes[in.pos++] != 0)
			status = damaged(&in, "something stands behind its last CRC");
	return status == BLOCKZ_OK ? add_checks(&in, len) : status;
}
