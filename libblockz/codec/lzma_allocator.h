/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for liblzma functions that encode in one call: each takes some megabytes and gives them back.  Here what is given back
 * is kept for the next call, which mostly asks for the same lengths; the system would have to map, clear and unmap it.
 */
#ifndef CODEC_LZMA_ALLOCATOR_H
#define CODEC_LZMA_ALLOCATOR_H

#include <lzma.h>

union lzma_chunk;

/* Of one thread at a time; the allocator points to it, so it must not move. */
struct lzma_allocator_memory {
	lzma_allocator allocator;
	union lzma_chunk *chunks; /* given back */
};

void lzma_allocator_init(struct lzma_allocator_memory *memory);
void lzma_allocator_free(struct lzma_allocator_memory *memory); /* what is given back; all of it has to be */

#endif
