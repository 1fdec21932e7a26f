/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks that were given back stand in a list, and are handed out again for the same length. */
#include "codec/lzma_allocator.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/checked.h"

/* What is shorter is malloc()'s: it has it at hand. */
enum { CHUNK_MIN = 64 << 10 };

/* In front of the memory that is handed out, which it keeps aligned. */
union lzma_chunk {
	struct {
		size_t len;
		union lzma_chunk *next;
	};
	max_align_t align;
};

/* One of that length.  Where there is none another encoder is at work, which has no use for the others. */
static union lzma_chunk *take_chunk(struct lzma_allocator_memory *memory, size_t len)
{
	for (union lzma_chunk **at = &memory->chunks; *at != NULL; at = &(*at)->next) {
		union lzma_chunk *chunk = *at;
		if (chunk->len == len) {
			*at = chunk->next;
			return chunk;
		}
	}
	lzma_allocator_free(memory);
	return NULL;
}

static void *allocate(void *opaque, size_t count, size_t size)
{
	struct lzma_allocator_memory *memory = opaque;
	uint64_t len;
	if (!checked_mul(count, size, &len) || len > SIZE_MAX - sizeof(union lzma_chunk))
		return NULL;
	union lzma_chunk *chunk = len < CHUNK_MIN ? NULL : take_chunk(memory, (size_t)len);
	if (chunk == NULL)
		chunk = malloc(sizeof(*chunk) + (size_t)len);
	if (chunk == NULL)
		return NULL;
	chunk->len = (size_t)len;
	return chunk + 1;
}

static void give_back(void *opaque, void *bytes)
{
	struct lzma_allocator_memory *memory = opaque;
	if (bytes == NULL)
		return;
	union lzma_chunk *chunk = (union lzma_chunk *)bytes - 1;
	if (chunk->len < CHUNK_MIN) {
		free(chunk);
		return;
	}
	chunk->next = memory->chunks;
	memory->chunks = chunk;
}

void lzma_allocator_init(struct lzma_allocator_memory *memory)
{
	*memory = (struct lzma_allocator_memory){ .allocator = { .alloc = allocate, .free = give_back, .opaque = memory } };
}

void lzma_allocator_free(struct lzma_allocator_memory *memory)
{
	while (memory->chunks != NULL) {
		union lzma_chunk *next = memory->chunks->next;
		free(memory->chunks);
		memory->chunks = next;
	}
}
