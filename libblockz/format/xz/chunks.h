/* SPDX-License-Identifier: BSD-3-Clause */
/* LZMA2 chunks, walked by their headers: which raw ones can be changed, and how others were encoded. */
#ifndef FORMAT_XZ_CHUNKS_H
#define FORMAT_XZ_CHUNKS_H

#include "format/xz/layout.h"
#include "io/peek.h"
#include "range/map.h"

/* A chunk, by its header. */
struct xz_chunk {
	uint8_t control;
	uint32_t image_len, header_len, payload_len; /* properties count as payload */
};

/* Parses the header of a chunk, all of which is there; its control byte is one that can be. */
void xz_chunk_parse(const uint8_t *bytes, struct xz_chunk *chunk_ret);

/* What a Block still needs before chunks of some kinds can stand in it. */
struct xz_chunk_order {
	bool needs_reset, needs_properties;
};

#define XZ_CHUNK_ORDER_INIT { true, true }

static inline bool xz_chunk_resets(uint8_t control)
{
	return control == CHUNK_RAW_RESET || control >= CHUNK_LZMA_RESET;
}

/* Goes on behind a chunk of this kind, which is none of the end.  False: none can stand here. */
bool xz_chunk_may_follow(struct xz_chunk_order *order, uint8_t control);

/*
 * Adds a span for each run of raw chunks of a Block whose only filter is LZMA2: file bytes [off, end) from its first chunk
 * on hold image bytes [start, image_end).  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status xz_add_chunks(struct peek *peek, uint64_t off, uint64_t end, uint64_t start, uint64_t image_end,
				 struct blockz_map *map, struct blockz_fault *fault);

/*
 * The properties of the first LZMA chunk of a Block, whose first chunk begins at off: lc, lp and pb in one byte; those of
 * all presets if it has none.  Errors: BLOCKZ_DAMAGED, BLOCKZ_FAILED.
 */
enum blockz_status xz_find_properties(struct peek *peek, uint64_t off, uint64_t end, uint8_t *properties_ret,
				      struct blockz_fault *fault);

#endif
