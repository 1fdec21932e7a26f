/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walking LZMA2 chunks by their headers.
 *
 * The bytes of a raw chunk can be changed when no LZMA chunk follows it before the dictionary is reset.  A reset of state
 * or properties (controls 0xA0 and 0xC0) is not enough: no match refers to the raw bytes then, but the context of the next
 * literal is the last byte before it, which may be raw.
 */
#include "format/xz/chunks.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/fault.h"

/* A raw chunk that is not decided on yet. */
struct raw_chunk {
	uint64_t start, file_off;
	uint32_t len;
};

struct chunks {
	struct blockz_map *map;
	struct raw_chunk *raws;
	size_t count, run_first; /* raws from run_first on are the run that is being walked */
	uint64_t run_len;
	struct span open;
};

static void end_run(struct chunks *chunks)
{
	if (chunks->run_len < RAW_RUN_MIN)
		chunks->count = chunks->run_first;
	chunks->run_first = chunks->count;
	chunks->run_len = 0;
}

static enum blockz_status close_span(struct chunks *chunks, struct blockz_fault *fault)
{
	enum blockz_status status =
		chunks->open.start < chunks->open.end ? map_add_span(chunks->map, &chunks->open, fault) : BLOCKZ_OK;
	chunks->open.start = chunks->open.end;
	return status;
}

/* It is known now whether what was walked so far can be changed. */
static enum blockz_status settle_raws(struct chunks *chunks, bool patchable, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	end_run(chunks);
	for (size_t i = 0; i < chunks->count && status == BLOCKZ_OK; i++) {
		const struct raw_chunk *raw = &chunks->raws[i];
		const struct span next = {
			.start = raw->start, .end = raw->start + raw->len, .file_off = raw->file_off,
			.patchable = patchable,
		};
		if (span_join(&chunks->open, &next, RAW_PAYLOAD, CHUNK_RAW_HEADER_LEN))
			continue;
		status = close_span(chunks, fault);
		chunks->open = next;
	}
	chunks->count = chunks->run_first = 0;
	return status;
}

static enum blockz_status add_raw_chunk(struct chunks *chunks, uint64_t start, uint64_t file_off, uint32_t len,
				   struct blockz_fault *fault)
{
	if (chunks->count >= MAP_ITEMS_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, file_off, "more than %d raw chunks in one Block", MAP_ITEMS_MAX);
	struct raw_chunk *room = array_room(chunks->raws, chunks->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	chunks->raws = room;
	chunks->raws[chunks->count++] = (struct raw_chunk){ start, file_off, len };
	chunks->run_len += len;
	return BLOCKZ_OK;
}

void xz_chunk_parse(const uint8_t *bytes, struct xz_chunk *chunk)
{
	*chunk = (struct xz_chunk){ .control = bytes[0], .header_len = CHUNK_END_LEN };
	if (chunk->control == CHUNK_END)
		return;
	bool raw = chunk->control <= CHUNK_RAW;
	chunk->header_len = raw ? CHUNK_RAW_HEADER_LEN : CHUNK_LZMA_HEADER_LEN;
	chunk->image_len = ((uint32_t)bytes[1] << 8 | bytes[2]) + 1;
	chunk->payload_len = chunk->image_len;
	if (raw)
		return;
	chunk->image_len += (uint32_t)(chunk->control & 0x1f) << 16;
	chunk->payload_len = ((uint32_t)bytes[3] << 8 | bytes[4]) + 1 + (chunk->control >= CHUNK_LZMA_PROPS);
}

/* A Block begins with a reset of the dictionary, and behind one LZMA has to have properties. */
bool xz_chunk_may_follow(struct xz_chunk_order *order, uint8_t control)
{
	if (order->needs_reset && !xz_chunk_resets(control))
		return false;
	if (control >= CHUNK_LZMA && control < CHUNK_LZMA_PROPS && order->needs_properties)
		return false;
	order->needs_reset = false;
	order->needs_properties = control == CHUNK_RAW_RESET || (control < CHUNK_LZMA_PROPS && order->needs_properties);
	return control <= CHUNK_RAW || control >= CHUNK_LZMA;
}

static enum blockz_status read_chunk(struct peek *peek, uint64_t off, struct xz_chunk *chunk,
				     struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	enum blockz_status status = peek_all(peek, off, CHUNK_END_LEN, &bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint8_t control = bytes[0];
	if (control > CHUNK_RAW && control < CHUNK_LZMA)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "an LZMA2 chunk with control byte %02x", control);
	if (control != CHUNK_END)
		status = peek_all(peek, off, control <= CHUNK_RAW ? CHUNK_RAW_HEADER_LEN : CHUNK_LZMA_HEADER_LEN, &bytes, fault);
	if (status == BLOCKZ_OK)
		xz_chunk_parse(bytes, chunk);
	return status;
}

enum blockz_status xz_find_properties(struct peek *peek, uint64_t off, uint64_t end, uint8_t *properties_ret,
				      struct blockz_fault *fault)
{
	struct xz_chunk chunk = { .control = CHUNK_RAW };
	const uint8_t *bytes = NULL;
	enum blockz_status status = BLOCKZ_OK;
	for (; off < end; off += chunk.header_len + chunk.payload_len) {
		status = read_chunk(peek, off, &chunk, fault);
		if (status != BLOCKZ_OK || chunk.control == CHUNK_END || chunk.control >= CHUNK_LZMA)
			break;
	}
	if (status != BLOCKZ_OK)
		return status;
	if (chunk.control < CHUNK_LZMA) {
		*properties_ret = PROPERTIES_DEFAULT;
		return BLOCKZ_OK;
	}
	status = peek_all(peek, off, CHUNK_LZMA_HEADER_LEN + 1, &bytes, fault);
	if (status == BLOCKZ_OK && (chunk.control < CHUNK_LZMA_PROPS || bytes[CHUNK_LZMA_HEADER_LEN] > PROPERTIES_MAX))
		return fault_set(fault, BLOCKZ_DAMAGED, off, "an LZMA chunk without properties");
	if (status == BLOCKZ_OK)
		*properties_ret = bytes[CHUNK_LZMA_HEADER_LEN];
	return status;
}

static enum blockz_status pass_chunk(struct chunks *chunks, const struct xz_chunk *chunk, uint64_t off, uint64_t start,
				     struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	if (xz_chunk_resets(chunk->control))
		status = settle_raws(chunks, true, fault);
	else if (chunk->control >= CHUNK_LZMA)
		status = settle_raws(chunks, false, fault);
	if (status == BLOCKZ_OK && chunk->control <= CHUNK_RAW)
		status = add_raw_chunk(chunks, start, off + chunk->header_len, chunk->image_len, fault);
	return status;
}

enum blockz_status xz_add_chunks(struct peek *peek, uint64_t off, uint64_t end, uint64_t start, uint64_t image_end,
				 struct blockz_map *map, struct blockz_fault *fault)
{
	struct chunks chunks = { .map = map };
	struct xz_chunk chunk = { .control = CHUNK_RAW };
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && chunk.control != CHUNK_END) {
		status = read_chunk(peek, off, &chunk, fault);
		if (status != BLOCKZ_OK)
			break;
		if (chunk.header_len + chunk.payload_len > end - off || chunk.image_len > image_end - start)
			status = fault_set(fault, BLOCKZ_DAMAGED, off, "an LZMA2 chunk reaches beyond its Block");
		else if (chunk.control != CHUNK_END)
			status = pass_chunk(&chunks, &chunk, off, start, fault);
		off += chunk.header_len + chunk.payload_len;
		start += chunk.image_len;
	}
	if (status == BLOCKZ_OK && (off != end || start != image_end))
		status = fault_set(fault, BLOCKZ_DAMAGED, off, "LZMA2 chunks do not add up to their Block");
	if (status == BLOCKZ_OK)
		status = settle_raws(&chunks, true, fault);
	if (status == BLOCKZ_OK)
		status = close_span(&chunks, fault);
	free(chunks.raws);
	return status;
}
