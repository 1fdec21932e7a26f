/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an image consists of, as far as deltas are concerned: blocks that were compressed one by one, and plain bytes
 * between them.  Containers make such a list; nothing behind it knows containers.
 */
#ifndef CODEC_BLOCKS_H
#define CODEC_BLOCKS_H

#include "codec/codec.h"

struct block {
	uint64_t file_off;
	uint32_t file_len;  /* as it stands in the file */
	uint32_t plain_len; /* decoded; both > 0 and <= CODEC_BLOCK_MAX */
	uint8_t codec;      /* enum codec_id */
	bool is_metadata;   /* of the container, not content */
	bool is_plain;      /* no block of the container, but a part of what is between them; CODEC_STORED */
};

struct blocks {
	uint64_t size;        /* of the container in bytes: what lies behind it is not part of the image */
	struct block *items;  /* by ascending file_off, none overlapping another, within the size */
	size_t count;
	/* With which parameters the encoder of these blocks may have been run, the likeliest first. */
	struct codec_params *candidates;
	size_t candidate_count;
	char container[64];   /* for people: "squashfs xz 128K", "gzip", "plain" */
	char note[128];       /* for people: why there are no blocks where one would expect some; or "" */
};

/* Frees what the list holds, and leaves an empty one. */
void blocks_free(struct blocks *blocks);

/* Appends a block behind the last; its bounds are asserted here and nowhere else.  False: no memory. */
bool blocks_append(struct blocks *blocks, const struct block *block);
/* Appends parameters to the candidates.  False: no memory. */
bool blocks_suggest(struct blocks *blocks, const struct codec_params *params);

/* Bytes of memory that encoding a block of plain_len bytes takes at most, whichever candidate does it, the block included. */
uint64_t blocks_encoder_memory(const struct blocks *blocks, uint64_t plain_len);

#endif
