/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries are united while pieces are written, so that their number stays bounded and the index fits its room. */
#include "format/gzip/index_write.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "format/deflate/encode.h"

enum {
	/*
	 * The smallest entry takes 2 bytes, so an index of so many pieces fits only when most of them are united; there is
	 * no need to remember more.
	 */
	ENTRIES_MAX = 2 * INDEX_LEN_MAX,
};

struct entry {
	uint64_t start, end; /* image offsets */
	uint64_t file_len;   /* of all copies */
	uint32_t crc;        /* of all of it; unused for zeros */
	uint8_t kind;        /* enum blockz_kind */
};

struct index_builder {
	struct index_cuts cuts;
	struct entry *entries;
	size_t count;
	bool given_up;
};

struct index_builder *index_builder_new(struct index_cuts cuts)
{
	struct index_builder *builder = calloc(1, sizeof(*builder));
	if (builder != NULL)
		builder->cuts = cuts;
	return builder;
}

void index_builder_free(struct index_builder *builder)
{
	if (builder == NULL)
		return;
	free(builder->entries);
	free(builder);
}

size_t index_room(const struct pack_params *params)
{
	/* A data piece: 4 bytes of length and 4 of CRC.  An edge of a raw range: two long varints more, and a CRC. */
	uint64_t pieces = params->image_size / params->piece_size + 1;
	if (pieces > INDEX_LEN_MAX || params->raw_count > INDEX_LEN_MAX)
		return INDEX_LEN_MAX;
	uint64_t len = INDEX_LEN_MIN + 16 + 8 * pieces + 48 * (uint64_t)params->raw_count;
	return len < INDEX_LEN_MAX ? (size_t)len : INDEX_LEN_MAX;
}

/* True if b, which follows a, is better kept as one entry with it in an index of these cuts. */
static bool unites(const struct entry *a, const struct entry *b, const struct index_cuts *cuts)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == BLOCKZ_ZERO)
		return a->file_len / ((a->end - a->start) / cuts->piece) == b->file_len / ((b->end - b->start) / cuts->piece);
	/* Where the pieces of a group end in the image has to follow from its place. */
	if (a->kind == BLOCKZ_COMPRESSED && a->end % cuts->piece != 0)
		return false;
	uint64_t cut = a->kind == BLOCKZ_RAW ? cuts->raw : cuts->group;
	return a->start / cut == (b->end - 1) / cut;
}

/* Appends to entries that have room for it, or unites with the last. */
static void put_entry(struct entry *entries, size_t *count, const struct entry *entry, const struct index_cuts *cuts)
{
	struct entry *last = *count > 0 ? &entries[*count - 1] : NULL;
	if (last == NULL || !unites(last, entry, cuts)) {
		entries[(*count)++] = *entry;
		return;
	}
	last->crc = crc32_join(last->crc, entry->crc, entry->end - entry->start);
	last->end = entry->end;
	last->file_len += entry->file_len;
}

/*
 * Appends a run of zeros that was written as copies of copy_size bytes each, at most three entries: whole groups stay zero pieces,
 * what sticks out at either end is data.
 */
static void put_zeros(struct entry *entries, size_t *count, const struct entry *run, uint64_t copy_size,
		      const struct index_cuts *cuts)
{
	uint64_t copy_len = run->file_len / ((run->end - run->start) / copy_size), size = cuts->group;
	uint64_t edges[] = { run->start, (run->start + size - 1) / size * size, run->end / size * size, run->end };
	if (edges[1] > edges[2])
		edges[1] = edges[2] = run->end;
	for (int part = 0; part < 3; part++) {
		uint64_t len = edges[part + 1] - edges[part];
		if (len == 0)
			continue;
		struct entry cut = {
			.start = edges[part], .end = edges[part + 1], .file_len = len / copy_size * copy_len,
			.crc = (uint32_t)crc_zeros(&crc32_poly, len), .kind = part == 1 ? BLOCKZ_ZERO : BLOCKZ_COMPRESSED,
		};
		put_entry(entries, count, &cut, cuts);
	}
}

static size_t count_raw(const struct index_builder *builder)
{
	size_t count = 0;
	for (size_t i = 0; i < builder->count; i++)
		count += builder->entries[i].kind == BLOCKZ_RAW;
	return count;
}

/* Doubles a size that makes fewer entries: of raw pieces if their CRCs take much room, else of groups.  False: there is none. */
static bool widen(const struct index_builder *builder, struct index_cuts *cuts)
{
	uint64_t image_len = builder->count > 0 ? builder->entries[builder->count - 1].end : 0;
	bool groups_grow = cuts->group < image_len && cuts->group < (uint64_t)1 << INDEX_GROUP_LOG_MAX;
	bool raw_grows = cuts->raw < (uint64_t)1 << INDEX_PIECE_LOG_MAX;
	bool many_raw = count_raw(builder) * INDEX_CRC_LEN > INDEX_LEN_MAX / 4;
	if (groups_grow && !(raw_grows && many_raw))
		cuts->group *= 2;
	else if (raw_grows)
		cuts->raw *= 2;
	else
		return false;
	return true;
}

/* Unites what falls into one when a size is doubled; gives the index up where nothing can be. */
static enum blockz_status make_fewer(struct index_builder *builder, struct blockz_fault *fault)
{
	struct index_cuts cuts = builder->cuts;
	builder->given_up = !widen(builder, &cuts);
	if (builder->given_up)
		return BLOCKZ_OK;
	struct entry *entries = calloc(3 * (builder->count > ENTRIES_MAX ? builder->count : ENTRIES_MAX) + 3,
				       sizeof(*entries));
	if (entries == NULL)
		return fault_nomem(fault);
	size_t count = 0;
	for (size_t i = 0; i < builder->count; i++) {
		const struct entry *entry = &builder->entries[i];
		if (entry->kind == BLOCKZ_ZERO)
			put_zeros(entries, &count, entry, cuts.piece, &cuts);
		else
			put_entry(entries, &count, entry, &cuts);
	}
	free(builder->entries);
	builder->entries = entries;
	builder->count = count;
	builder->cuts = cuts;
	return BLOCKZ_OK;
}

enum blockz_status index_add(struct index_builder *builder, const struct written_piece *piece,
			     struct blockz_fault *fault)
{
	if (builder->given_up)
		return BLOCKZ_OK;
	if (builder->entries == NULL) {
		builder->entries = calloc(ENTRIES_MAX + 3, sizeof(*builder->entries));
		if (builder->entries == NULL)
			return fault_nomem(fault);
	}
	while (builder->count >= ENTRIES_MAX) {
		enum blockz_status status = make_fewer(builder, fault);
		if (status != BLOCKZ_OK || builder->given_up)
			return status;
	}
	struct entry entry = { piece->start, piece->end, piece->file_len, (uint32_t)piece->tag,
			       (uint8_t)piece->kind };
	if (entry.kind == BLOCKZ_ZERO)
		put_zeros(builder->entries, &builder->count, &entry, (entry.end - entry.start) / piece->copies,
			  &builder->cuts);
	else
		put_entry(builder->entries, &builder->count, &entry, &builder->cuts);
	return BLOCKZ_OK;
}

/* Bytes that are written as long as there is room; overflow is found at the end. */
struct output {
	uint8_t *bytes;
	size_t len, room;
};

static void out_byte(struct output *out, uint8_t byte)
{
	if (out->len < out->room)
		out->bytes[out->len] = byte;
	out->len++;
}

static void out_varint(struct output *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		out_byte(out, (uint8_t)(value | 0x80));
	out_byte(out, (uint8_t)value);
}

static void out_crc(struct output *out, uint32_t crc)
{
	for (int shift = 0; shift < 32; shift += 8)
		out_byte(out, (uint8_t)(crc >> shift));
}

/* Raw pieces that touch are one entry of the index: the end of that from entry i on. */
static size_t raw_run_end(const struct index_builder *builder, size_t i)
{
	while (i + 1 < builder->count && builder->entries[i + 1].kind == BLOCKZ_RAW)
		i++;
	return i + 1;
}

static void out_entry(struct output *out, const struct index_builder *builder, size_t i, size_t end,
		      uint64_t image_size)
{
	const struct entry *entry = &builder->entries[i];
	uint64_t image_end = builder->entries[end - 1].end;
	switch (entry->kind) {
	case BLOCKZ_RAW:
		out_varint(out, stored_len(entry->start, image_end) << 2 | INDEX_RAW);
		out_varint(out, image_end - entry->start);
		break;
	case BLOCKZ_ZERO: {
		uint64_t copies = (entry->end - entry->start) / builder->cuts.piece;
		out_varint(out, entry->file_len / copies << 2 | INDEX_ZERO);
		out_varint(out, copies);
		break;
	}
	default:
		if (entry->end % builder->cuts.group == 0 || entry->end == image_size) {
			out_varint(out, entry->file_len << 2 | INDEX_DATA);
		} else {
			out_varint(out, entry->file_len << 2 | INDEX_SHORT);
			out_varint(out, entry->end - entry->start);
		}
	}
}

/* True if all of it fits. */
static bool out_pieces(struct output *out, const struct index_builder *builder, uint64_t image_size, bool data_crcs)
{
	size_t count = 0;
	for (size_t i = 0; i < builder->count; count++)
		i = builder->entries[i].kind == BLOCKZ_RAW ? raw_run_end(builder, i) : i + 1;
	out_varint(out, count);
	for (size_t i = 0, end; i < builder->count; i = end) {
		end = builder->entries[i].kind == BLOCKZ_RAW ? raw_run_end(builder, i) : i + 1;
		out_entry(out, builder, i, end, image_size);
	}
	for (size_t i = 0; i < builder->count; i++) {
		const struct entry *entry = &builder->entries[i];
		if (entry->kind == BLOCKZ_RAW || (entry->kind == BLOCKZ_COMPRESSED && data_crcs))
			out_crc(out, entry->crc);
	}
	return out->len <= out->room;
}

static uint8_t log2_of(uint64_t power)
{
	return (uint8_t)__builtin_ctzll(power);
}

static bool has_groups(const struct index_cuts *cuts)
{
	return cuts->group > cuts->piece || cuts->raw > cuts->piece;
}

static bool try_write(const struct index_builder *builder, const struct index_facts *facts, bool data_crcs,
		      uint8_t *bytes, size_t len)
{
	const struct index_cuts *cuts = &builder->cuts;
	bool groups = has_groups(cuts);
	memset(bytes, 0, len);
	bytes[INDEX_VERSION_OFF] = groups ? INDEX_VERSION_GROUPS : INDEX_VERSION_PIECES;
	bytes[INDEX_FLAGS_OFF] = data_crcs ? INDEX_FLAG_DATA_CRCS : 0;
	bytes[INDEX_ENCODER_OFF] = (uint8_t)facts->encoder;
	bytes[INDEX_LEVEL_OFF] = (uint8_t)facts->level;
	store_le64(bytes + INDEX_IMAGE_SIZE_OFF, facts->image_size);
	store_le64(bytes + INDEX_FILE_SIZE_OFF, facts->file_size);
	memcpy(bytes + INDEX_TRAILER_OFF, facts->trailer, GZIP_TRAILER_LEN);
	bytes[INDEX_PIECE_LOG_OFF] = log2_of(cuts->piece);
	if (groups) {
		bytes[INDEX_GROUP_LOG_OFF] = log2_of(cuts->group);
		bytes[INDEX_RAW_LOG_OFF] = log2_of(cuts->raw);
	}
	struct output out = { bytes, groups ? INDEX_GROUPS_COUNT_OFF : INDEX_COUNT_OFF, len - INDEX_CRC_LEN };
	return out_pieces(&out, builder, facts->image_size, data_crcs);
}

static void put_crc(uint8_t *bytes, size_t len)
{
	store_le32(bytes + len - INDEX_CRC_LEN, crc32_update(0, bytes, len - INDEX_CRC_LEN));
}

void index_write_none(uint8_t *bytes, size_t len)
{
	memset(bytes, 0, len); /* INDEX_VERSION_NONE */
	put_crc(bytes, len);
}

enum blockz_status index_write(struct index_builder *builder, const struct index_facts *facts, uint8_t *bytes,
			       size_t len, uint64_t *piece_size_ret, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool fits = false;
	while (!fits && !builder->given_up && status == BLOCKZ_OK) {
		fits = (facts->data_crcs && !has_groups(&builder->cuts) && try_write(builder, facts, true, bytes, len)) ||
		       try_write(builder, facts, false, bytes, len);
		if (!fits)
			status = make_fewer(builder, fault);
	}
	if (status != BLOCKZ_OK)
		return status;
	if (fits)
		put_crc(bytes, len);
	else
		index_write_none(bytes, len);
	*piece_size_ret = fits ? builder->cuts.piece : 0;
	return BLOCKZ_OK;
}
