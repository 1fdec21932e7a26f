/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding one piece.
 *
 * libdeflate decodes whole deflate streams only, so an end has to be put behind a piece.  That it then decodes does not
 * show that a serial decoder would go on at the next piece: a piece whose own last block is final and unfinished takes
 * what is put behind it for the rest of that block.  `03 00`, the shortest end, proves nothing.
 *
 * The end used here is a final stored block of 16 random bytes, made anew for each decoder.  A decoder that comes to it at
 * a block's boundary, and on a byte, gives exactly these bytes, behind all others, and stops at the end.  One that is
 * inside a block of symbols decodes the random bytes to something else: nobody who made the piece could foresee them.
 * One that is inside a stored block copies the header of the end as well; where the five bytes before the random ones
 * look like it, or nothing fits, the walker decides: it shows where the piece's own blocks end, but takes longer.
 *
 * It is stricter, too: libdeflate takes some headers of dynamic blocks, with too many codes or code lengths, that zlib
 * refuses.
 */
#include "format/deflate/decode.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/plural.h"
#include "format/deflate/layout.h"
#include "format/deflate/walk.h"

enum {
	PROBE_LEN = 16,
	PROBED_END_LEN = STORED_HEADER_LEN + PROBE_LEN,
};

_Static_assert((int)PROBED_END_LEN <= (int)DECODE_SLACK, "there is room for the end behind a piece");

struct decoder {
	struct libdeflate_decompressor *decompressor;
	struct walker *walker;
	uint8_t end[PROBED_END_LEN];
};

void deflate_decoder_free(void *context)
{
	struct decoder *decoder = context;
	if (decoder == NULL)
		return;
	libdeflate_free_decompressor(decoder->decompressor);
	walker_free(decoder->walker);
	free(decoder);
}

void *deflate_decoder_new(uint64_t window_max)
{
	(void)window_max; /* never more than 32 KiB */
	struct decoder *decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL)
		return NULL;
	decoder->end[0] = 1; /* BFINAL 1, BTYPE 00 */
	store_le16(decoder->end + 1, PROBE_LEN);
	store_le16(decoder->end + 3, (uint16_t)~PROBE_LEN);
	decoder->decompressor = libdeflate_alloc_decompressor();
	if (decoder->decompressor == NULL || walker_new(&decoder->walker, NULL) != BLOCKZ_OK ||
	    getrandom(decoder->end + STORED_HEADER_LEN, PROBE_LEN, 0) != PROBE_LEN) {
		deflate_decoder_free(decoder);
		return NULL;
	}
	return decoder;
}

/* Shows by its blocks what deflate_decode() has to show, or says where it is not so. */
static enum blockz_status walk_piece(struct walker *walker, const struct encoded_piece *encoded, size_t out_len,
				    struct blockz_fault *fault)
{
	struct walk_block block = { 0 };
	walker_reset_memory(walker, encoded->bytes, encoded->len);
	while (block.end_bit < (uint64_t)encoded->len * 8 && !block.final) {
		enum blockz_status status = walker_next(walker, &block, NULL, fault);
		if (status != BLOCKZ_OK) {
			if (fault != NULL)
				fault->offset += encoded->file_off;
			return status;
		}
	}
	if (block.final != encoded->ends_stream)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off + block.header_bit / 8,
				 encoded->ends_stream ? "deflate stream does not end with its last piece"
						   : "a final deflate block in the middle of the stream");
	if ((block.end_bit + 7) / 8 != encoded->len || (!encoded->ends_stream && block.end_bit % 8 != 0))
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off + block.end_bit / 8,
				 "a piece does not end at a block boundary");
	if (block.out_end != out_len)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off,
				 "a piece decodes to %" PRIu64 " byte%s, expected %zu", block.out_end, plural(block.out_end),
				 out_len);
	return BLOCKZ_OK;
}

static bool ends_with_probe(const struct decoder *decoder, const uint8_t *out, size_t out_len)
{
	bool copied = out_len >= STORED_HEADER_LEN &&
		      memcmp(out + out_len - STORED_HEADER_LEN, decoder->end, STORED_HEADER_LEN) == 0;
	return !copied && memcmp(out + out_len, decoder->end + STORED_HEADER_LEN, PROBE_LEN) == 0;
}

enum blockz_status deflate_decode(void *context, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
				  struct blockz_fault *fault)
{
	struct decoder *decoder = context;
	size_t in_len = encoded->len, made_len = out_len, used = 0, made = 0;
	if (!encoded->ends_stream) {
		memcpy(encoded->bytes + in_len, decoder->end, PROBED_END_LEN);
		in_len += PROBED_END_LEN;
		made_len += PROBE_LEN;
	}
	enum libdeflate_result result = libdeflate_deflate_decompress_ex(decoder->decompressor, encoded->bytes, in_len, out,
									 made_len, &used, &made);
	bool good = result == LIBDEFLATE_SUCCESS && used == in_len && made == made_len;
	if (good && !encoded->strict && (encoded->ends_stream || ends_with_probe(decoder, out, out_len)))
		return BLOCKZ_OK;
	enum blockz_status status = walk_piece(decoder->walker, encoded, out_len, fault);
	if (status == BLOCKZ_OK && !good)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off, "a piece does not decode alone");
	return status;
}
