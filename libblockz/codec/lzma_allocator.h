/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for liblzma functions that encode in one call: each takes some megabytes and gives them back.  Here what is given back
 * is kept for the next call, which mostly asks for the same lengths; the system would have to map, clear and unmap it.
 */
#ifndef CODEC_LZMA_ALLOCATOR_H
#define CODEC_LZMA_ALLOCATOR_H

#include <lzma.h>

union lzma_chunk;

/* It belongs to one thread at a time; the allocator points to it, so it must not move. */
struct lzma_allocator_memory {
	lzma_allocator allocator;
	union lzma_chunk *chunks; /* given back */
};

/* Sets up an allocator that keeps nothing yet. */
void lzma_allocator_init(struct lzma_allocator_memory *memory);
/* Frees what is kept; all memory has to be given back by then, or is lost. */
void lzma_allocator_free(struct lzma_allocator_memory *memory);

#endif
