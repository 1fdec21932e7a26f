/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling with empty blocks.
 *
 * From a byte's edge on, an empty stored block is 5 bytes, and decoders are quick with it.  The remainder is made by empty
 * fixed blocks of 10 bits, each of which moves what follows on by one byte or two.  They stand before an empty stored
 * block, which comes to a byte's edge again: before the piece's own flush mark, and before the first one of the filler.
 *
 *    ... last block | fixed ... | flush mark | fixed ... | stored | stored | ... | the end, where the piece has it
 *
 * So the piece ends with a flush mark as before.  Before a mark that begins at bit e of its byte, k fixed blocks add
 *
 *    ceil((e + 10k + 3) / 8) - ceil((e + 3) / 8)
 *
 * bytes: for k up to 3 that is all of 0 to 4 but one amount, which depends on e.  At a byte's edge, with the stored block,
 * it is 5, 6, 7 and 9.  That one amount stays impossible; each sum of both that is left has a remainder of its own by 5.
 */
#include "format/deflate/fill.h"

#include <string.h>

#include "base/fault.h"
#include "format/deflate/layout.h"
#include "format/deflate/walk.h"

enum {
	FIXED_BITS = 10,      /* an empty block: BFINAL, BTYPE(2), and 7 bits for its end */
	BLOCK_HEAD_BITS = 3,  /* BFINAL, BTYPE(2) */
	FIXED_MAX = 3,        /* so many of them are enough for each remainder */
};

struct filler {
	unsigned before_mark, behind_mark; /* fixed blocks */
	size_t stored;
};

/* The byte behind an empty stored block that begins at a bit. */
static size_t behind_stored(uint64_t bit)
{
	return (size_t)((bit + BLOCK_HEAD_BITS + 7) / 8) + FLUSH_MARK_LEN;
}

/* How to add so many bytes to a piece whose flush mark begins at mark_bit; false: there is no way. */
static bool choose_filler(uint64_t mark_bit, size_t amount, struct filler *filler_ret)
{
	for (unsigned before = 0; before <= FIXED_MAX; before++) {
		size_t moved = behind_stored(mark_bit + FIXED_BITS * before) - behind_stored(mark_bit);
		for (unsigned behind = 0; before + behind <= FIXED_MAX; behind++) {
			size_t first = behind > 0 ? behind_stored(FIXED_BITS * behind) : 0;
			if (amount < moved + first || (amount - moved - first) % STORED_HEADER_LEN != 0)
				continue;
			size_t others = (amount - moved - first) / STORED_HEADER_LEN;
			*filler_ret = (struct filler){ before, behind, others + (behind > 0) };
			return true;
		}
	}
	return false;
}

/* Puts fixed blocks and a stored one, all empty, where bytes are zeros from that bit on; returns the bit behind. */
static uint64_t put_empty(uint8_t *bytes, uint64_t bit, unsigned fixed)
{
	for (; fixed > 0; fixed--, bit += FIXED_BITS) /* all zeros but the lower bit of BTYPE */
		bytes[(bit + 1) / 8] |= (uint8_t)(1u << (bit + 1) % 8);
	size_t end = behind_stored(bit);
	memset(bytes + end - 2, 0xff, 2); /* LEN is 0, NLEN its complement */
	return (uint64_t)end * 8;
}

/* Puts the piece with its filler in zeros of the new length. */
static void put_piece(const struct encoding *piece, const struct walk_block *mark, const struct filler *filler,
		      uint8_t *bytes, size_t len)
{
	size_t whole = (size_t)(mark->header_bit / 8), end_len = piece->len - (size_t)(mark->end_bit / 8);
	memcpy(bytes, piece->out.bytes, whole);
	bytes[whole] = (uint8_t)(piece->out.bytes[whole] & ((1u << mark->header_bit % 8) - 1));
	uint64_t bit = put_empty(bytes, mark->header_bit, filler->before_mark);
	for (size_t i = 0; i < filler->stored; i++)
		bit = put_empty(bytes, bit, i == 0 ? filler->behind_mark : 0);
	memcpy(bytes + len - end_len, piece->out.bytes + piece->len - end_len, end_len);
}

/* The last block that is not final. */
static enum blockz_status find_mark(const struct encoding *piece, struct walk_block *mark_ret, struct blockz_fault *fault)
{
	struct walker *walker = NULL;
	struct walk_block block = { 0 };
	enum blockz_status status = walker_new(&walker, fault);
	if (status != BLOCKZ_OK)
		return status;
	walker_reset_memory(walker, piece->out.bytes, piece->len);
	while (status == BLOCKZ_OK && block.end_bit < (uint64_t)piece->len * 8 && !block.final) {
		status = walker_next(walker, &block, NULL, fault);
		if (status == BLOCKZ_OK && !block.final)
			*mark_ret = block;
	}
	walker_free(walker);
	return status;
}

enum blockz_status deflate_fill(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault)
{
	struct walk_block mark = { 0 };
	struct filler filler;
	struct buffer out = { 0 };
	*filled_ret = len == encoding->len;
	if (len <= encoding->len)
		return BLOCKZ_OK;
	enum blockz_status status = find_mark(encoding, &mark, fault);
	if (status != BLOCKZ_OK || !choose_filler(mark.header_bit, len - encoding->len, &filler))
		return status;
	if (!buffer_reserve(&out, len))
		return fault_nomem(fault);
	memset(out.bytes, 0, len);
	put_piece(encoding, &mark, &filler, out.bytes, len);
	buffer_free(&encoding->out);
	encoding->out = out;
	encoding->len = len;
	*filled_ret = true;
	return BLOCKZ_OK;
}
