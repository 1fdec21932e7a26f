/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members are found by the checks in their trailers, which a map has of each that is not empty; empty ones are passed over
 * from there to the header that belongs to a piece.
 */
#include "format/gzip/renew_heads.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "format/deflate/layout.h"
#include "format/deflate/walk.h"
#include "format/gzip/ending.h"
#include "format/gzip/head.h"
#include "format/gzip/layout.h"
#include "io/access.h"

enum { MEMBER_LEN_MAX = 65536 }; /* of bgzip's: the field has two bytes, and holds the length - 1 */

struct member {
	uint64_t start, end; /* image offsets */
	uint64_t head_off, end_off; /* file offsets, of its header and behind its trailer */
	struct gzip_head head;
};

/* Those of an index stand in the first header, before all pieces. */
static bool is_trailer(const struct blockz_map *map, const struct check *check)
{
	return !check->of_file && check->field_off > map->pieces[0].file_off;
}

/* Finds the check in the last trailer before check i; NULL: there is none. */
static const struct check *trailer_before(const struct blockz_map *map, size_t i)
{
	while (i > 0)
		if (is_trailer(map, &map->checks[--i]))
			return &map->checks[i];
	return NULL;
}

const struct check *gzip_trailer_over(const struct blockz_map *map, uint64_t off)
{
	return trailer_before(map, map_find_check(map, off + 1));
}

/* Walks an empty member, or any other; *end_ret is the file offset behind it. */
static enum blockz_status pass_member(const struct renewal *renewal, uint64_t body_off, uint64_t *end_ret,
				      struct blockz_fault *fault)
{
	struct walker *walker = NULL;
	struct walk_block block = { 0 };
	enum blockz_status status = walker_new(&walker, fault);
	if (status != BLOCKZ_OK)
		return status;
	walker_reset_source(walker, renewal->file, body_off, renewal->map->file_size);
	while (status == BLOCKZ_OK && !block.final)
		status = walker_next(walker, &block, NULL, fault);
	walker_free(walker);
	*end_ret = body_off + (block.end_bit + 7) / 8 + GZIP_TRAILER_LEN;
	return status;
}

static enum blockz_status find_head(const struct renewal *renewal, uint64_t off, struct member *member,
				    struct blockz_fault *fault)
{
	const struct blockz_map *map = renewal->map;
	uint64_t body_off = map->pieces[map_find_piece(map, member->start)].file_off;
	for (;;) {
		enum blockz_status status = gzip_head_read(renewal->file, off, &member->head, fault);
		if (status != BLOCKZ_OK)
			return status;
		member->head_off = off;
		if (member->head.body_off >= body_off)
			return BLOCKZ_OK;
		status = pass_member(renewal, member->head.body_off, &off, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
}

/* Finds the member that ends with a trailer. */
static enum blockz_status find_member(const struct renewal *renewal, const struct check *trailer, struct member *member_ret,
				      struct blockz_fault *fault)
{
	const struct blockz_map *map = renewal->map;
	if (trailer == NULL)
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "a piece of no gzip member");
	const struct check *before = trailer_before(map, (size_t)(trailer - map->checks));
	*member_ret = (struct member){
		.start = trailer->start, .end = trailer->end, .end_off = trailer->field_off + GZIP_TRAILER_LEN,
	};
	return find_head(renewal, before != NULL ? before->field_off + GZIP_TRAILER_LEN : 0, member_ret, fault);
}

/*
 * Replaces two bytes of a header, and has the header's CRC follow if it has one: that is the low half of a CRC-32, which is
 * moved by the difference like any other (check/crc.h).
 */
static enum blockz_status replace_two(const struct renewal *renewal, const struct gzip_head *head, uint64_t off,
				      const uint8_t old[2], const uint8_t new[2], struct blockz_fault *fault)
{
	enum blockz_status status = renewal->replace(renewal->ctx, (struct blockz_range){ off, off + 2 }, new, 2, fault);
	if (status != BLOCKZ_OK || head->crc_off == 0)
		return status;
	uint8_t crc[2];
	uint64_t change = crc32_update(0, old, 2) ^ crc32_update(0, new, 2);
	status = read_file(renewal->file, crc, sizeof(crc), head->crc_off, fault);
	if (status != BLOCKZ_OK)
		return status;
	store_le16(crc, (uint16_t)(load_le16(crc) ^ crc_shift(&crc32_poly, change, head->crc_off - off - 2)));
	struct blockz_range range = { head->crc_off, head->crc_off + sizeof(crc) };
	return renewal->replace(renewal->ctx, range, crc, sizeof(crc), fault);
}

/* Has the length of a member follow, which is now so many bytes longer (or shorter, modulo 2^64). */
static enum blockz_status renew_length(const struct renewal *renewal, const struct member *member, uint64_t longer,
				       struct blockz_fault *fault)
{
	uint8_t old[2], new[2];
	uint64_t off = member->head.size_off, old_len = member->end_off - member->head_off, len = old_len + longer;
	enum blockz_status status = read_file(renewal->file, old, sizeof(old), off, fault);
	if (status != BLOCKZ_OK || load_le16(old) + (uint64_t)1 != old_len) /* it has said something else before */
		return status;
	if (len > MEMBER_LEN_MAX)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, off, "a gzip member of bgzip would become %" PRIu64 " bytes long", len);
	store_le16(new, (uint16_t)(len - 1));
	return longer != 0 ? replace_two(renewal, &member->head, off, old, new, fault) : BLOCKZ_OK;
}

static enum blockz_status refuse_chunks(const struct member *member, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_UNSUPPORTED, member->head_off,
			 "the gzip header has dictzip's table of chunks, which would become wrong");
}

static enum blockz_status refuse_others(const struct member *member, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_UNSUPPORTED, member->head_off,
			 "the gzip header has a field of another program, which lengths may be part of");
}

/* How much longer a member is by its new end, where it gets one. */
static uint64_t end_growth(const struct renewal *renewal, const struct member *member)
{
	const struct new_end *end = renewal->end;
	if (end == NULL || member->end_off <= end->cut->off) /* it stays whole */
		return 0;
	return end->cut->off + end->cut->lead_len + end->file_len + END_LEN + GZIP_TRAILER_LEN - member->end_off;
}

/*
 * Goes over the pieces of the member with this trailer, which begin at *next; leaves the first behind them there.
 */
static enum blockz_status renew_member(const struct renewal *renewal, const struct check *trailer, size_t *next,
				       struct blockz_fault *fault)
{
	const struct piece *pieces = renewal->map->pieces;
	struct member member;
	enum blockz_status status = find_member(renewal, trailer, &member, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (member.head.has_chunks)
		return refuse_chunks(&member, fault);
	uint64_t longer = end_growth(renewal, &member);
	bool changes = longer != 0;
	for (; *next < renewal->count && pieces[renewal->pieces[*next].piece].start < member.end; ++*next) {
		const struct renewed_piece *renewed = &renewal->pieces[*next];
		const struct piece *piece = &pieces[renewed->piece];
		longer += renewed->file_len - piece->file_len / piece->copies;
		changes |= renewed->file_len != piece->file_len / piece->copies;
	}
	if (changes && member.head.has_others)
		return refuse_others(&member, fault);
	return member.head.size_off != 0 ? renew_length(renewal, &member, longer, fault) : BLOCKZ_OK;
}

/* What goes on behind an image of no bytes. */
static enum blockz_status renew_empty(const struct renewal *renewal, struct blockz_fault *fault)
{
	struct member member = { 0 };
	enum blockz_status status = gzip_head_read(renewal->file, 0, &member.head, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (member.head.has_chunks)
		return refuse_chunks(&member, fault);
	return member.head.has_others || member.head.size_off != 0 ? refuse_others(&member, fault) : BLOCKZ_OK;
}

/* The member with the new end may have no other piece that was encoded again. */
static enum blockz_status renew_last(const struct renewal *renewal, size_t *next, struct blockz_fault *fault)
{
	const struct new_end *end = renewal->end;
	const struct check *trailer = gzip_end_trailer(renewal->map, end->kept, end->count > 0);
	return trailer != NULL ? renew_member(renewal, trailer, next, fault) : renew_empty(renewal, fault);
}

enum blockz_status gzip_renew_heads(const struct renewal *renewal, struct blockz_fault *fault)
{
	const struct blockz_map *map = renewal->map;
	const uint64_t end = renewal->end != NULL && map->piece_count > 0
				     ? gzip_end_trailer(map, renewal->end->kept, renewal->end->count > 0)->start : map->image_size;
	enum blockz_status status = BLOCKZ_OK;
	size_t i = 0;
	while (i < renewal->count && status == BLOCKZ_OK && map->pieces[renewal->pieces[i].piece].start < end)
		status = renew_member(renewal, gzip_trailer_over(map, map->pieces[renewal->pieces[i].piece].start), &i, fault);
	return status == BLOCKZ_OK && renewal->end != NULL ? renew_last(renewal, &i, fault) : status;
}
