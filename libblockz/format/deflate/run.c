/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a length is to be kept, ends are tried with a copy of the encoder, which can go on. */
#include "format/deflate/run.h"

#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "format/deflate/empty.h"

/*
 * The strongest level, since a run is short, and what was encoded better leaves no room for weaker blocks.  zlib's own
 * choice of MEM_LEVEL makes blocks that are 0.4 % smaller than the highest does; the strategies together make them 3 %
 * smaller than either of them alone, and 10 % among lines of digests.
 */
enum { LEVEL = 9, MEM_LEVEL = 8, OUTPUT_STEP = 16 * 1024 };
static const int strategies[RUN_ENCODERS] = { Z_DEFAULT_STRATEGY, Z_FILTERED };

enum blockz_status run_new(struct run *run, struct blockz_fault *fault)
{
	*run = (struct run){ 0 };
	for (size_t i = 0; i < RUN_ENCODERS; i++) {
		struct run_encoder *encoder = &run->encoders[i];
		if (deflateInit2(&encoder->stream, LEVEL, Z_DEFLATED, -15, MEM_LEVEL, strategies[i]) != Z_OK)
			return fault_nomem(fault);
		encoder->ready = true;
	}
	return BLOCKZ_OK;
}

void run_free(struct run *run)
{
	for (size_t i = 0; i < RUN_ENCODERS; i++) {
		if (run->encoders[i].ready)
			deflateEnd(&run->encoders[i].stream);
		bits_free(&run->encoders[i].bits);
	}
}

enum blockz_status run_begin(struct run *run, uint64_t bit, uint8_t byte, unsigned end_code, unsigned end_code_len,
			     const uint8_t *dict, size_t dict_len, struct blockz_fault *fault)
{
	run->start_byte = bit / 8;
	run->bits = NULL;
	for (size_t i = 0; i < RUN_ENCODERS; i++) {
		z_stream *stream = &run->encoders[i].stream;
		struct bits *bits = &run->encoders[i].bits;
		run->encoders[i].active = true;
		bits->count = 0;
		bits_put(bits, byte, bit % 8);
		bits_put(bits, end_code, end_code_len);
		if (bits->nomem)
			return fault_nomem(fault);
		/* zlib continues what is left of a byte. */
		unsigned begun = bits->count % 8;
		bits->count -= begun;
		deflateReset(stream);
		deflateSetDictionary(stream, dict, (uInt)dict_len);
		if (begun > 0)
			deflatePrime(stream, (int)begun, bits->bytes[bits->count / 8]);
	}
	return BLOCKZ_OK;
}

/* Has an encoder take all of its input, and give what it makes of it. */
static enum blockz_status encode(z_stream *stream, int flush, struct bits *bits, struct blockz_fault *fault)
{
	do {
		if (!bits_reserve(bits, OUTPUT_STEP))
			return fault_nomem(fault);
		stream->next_out = bits->bytes + bits->count / 8;
		stream->avail_out = OUTPUT_STEP;
		deflate(stream, flush);
		bits->count += (uint64_t)(OUTPUT_STEP - stream->avail_out) * 8;
	} while (stream->avail_out == 0);
	return BLOCKZ_OK;
}

enum blockz_status run_add(struct run *run, const uint8_t *text, size_t len, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < RUN_ENCODERS && status == BLOCKZ_OK; i++) {
		struct run_encoder *encoder = &run->encoders[i];
		encoder->stream.next_in = (uint8_t *)(uintptr_t)text;
		encoder->stream.avail_in = (uInt)len;
		if (encoder->active)
			status = encode(&encoder->stream, Z_NO_FLUSH, &encoder->bits, fault);
	}
	return status;
}

/* Of the encoders that take part, the one with the fewest bits. */
static size_t shortest(const struct run *run)
{
	size_t found = RUN_ENCODERS;
	for (size_t i = 0; i < RUN_ENCODERS; i++) {
		const struct run_encoder *encoder = &run->encoders[i];
		if (encoder->active && (found == RUN_ENCODERS || encoder->bits.count < run->encoders[found].bits.count))
			found = i;
	}
	return found;
}

size_t run_len(const struct run *run)
{
	return bits_len(&run->encoders[shortest(run)].bits);
}

void run_choose(struct run *run)
{
	size_t chosen = shortest(run);
	for (size_t i = 0; i < RUN_ENCODERS; i++)
		run->encoders[i].active = i == chosen;
	run->bits = &run->encoders[chosen].bits;
}

/* Ends the last block, and drops the empty one that comes out with its last bits. */
static enum blockz_status end_blocks(z_stream *stream, struct bits *bits, struct blockz_fault *fault)
{
	unsigned pending;
	int left;
	enum blockz_status status = encode(stream, Z_BLOCK, bits, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t whole = bits->count;
	deflatePending(stream, &pending, &left);
	status = encode(stream, Z_SYNC_FLUSH, bits, fault);
	if (status == BLOCKZ_OK)
		bits->count = whole + (unsigned)left;
	return status;
}

/* The rest is nothing, but the end of the stream. */
static bool put_stream_end(struct bits *bits, uint64_t count, bool keep_length)
{
	bool fits = !keep_length;
	for (uint64_t before = EMPTY_END_BITS + 7; !fits && before >= EMPTY_END_BITS; before--)
		fits = count >= before && empty_fill(bits, count - before);
	if (fits)
		empty_end(bits);
	return fits;
}

/* count: as many as there were, with the header. */
static bool put_end(struct bits *bits, uint64_t count, const struct run_end *end)
{
	if (end->is_final)
		return put_stream_end(bits, count, end->keep_length);
	if (end->keep_length) {
		if (count < end->header_count || !empty_fill(bits, count - end->header_count))
			return false;
	} else {
		empty_fill_to_phase(bits, (unsigned)((count - end->header_count) % 8));
	}
	bits_copy(bits, end->header, end->header_first, end->header_count);
	return true;
}

/* Tries with a copy of the encoder, if it may have to go on. */
static enum blockz_status finish(struct run_encoder *encoder, uint64_t old_count, const struct run_end *end, bool *fits_ret,
				 struct blockz_fault *fault)
{
	z_stream trial = { 0 };
	const uint64_t count = encoder->bits.count;
	if (end->keep_length && deflateCopy(&trial, &encoder->stream) != Z_OK)
		return fault_nomem(fault);
	enum blockz_status status = end_blocks(end->keep_length ? &trial : &encoder->stream, &encoder->bits, fault);
	if (end->keep_length)
		deflateEnd(&trial);
	if (status != BLOCKZ_OK)
		return status;
	*fits_ret = put_end(&encoder->bits, old_count, end);
	if (!*fits_ret)
		encoder->bits.count = count;
	return encoder->bits.nomem ? fault_nomem(fault) : BLOCKZ_OK;
}

enum blockz_status run_finish(struct run *run, const struct run_end *end, bool *fits_ret, struct blockz_fault *fault)
{
	const uint64_t old_count = end->bit - run->start_byte * 8;
	bool fits[RUN_ENCODERS] = { false }, any = false;
	for (size_t i = 0; i < RUN_ENCODERS; i++) {
		if (!run->encoders[i].active)
			continue;
		enum blockz_status status = finish(&run->encoders[i], old_count, end, &fits[i], fault);
		if (status != BLOCKZ_OK)
			return status;
		any = any || fits[i];
	}
	*fits_ret = any;
	for (size_t i = 0; i < RUN_ENCODERS && any; i++)
		run->encoders[i].active = fits[i];
	if (any)
		run_choose(run);
	return BLOCKZ_OK;
}
