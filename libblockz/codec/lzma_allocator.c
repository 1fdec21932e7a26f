/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/lzma_allocator.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/checked.h"

/* What is shorter is malloc()'s: it has it at hand. */
enum { KEPT_MIN = 64 << 10 };

/* In front of the memory that is handed out, which it keeps aligned. */
union kept_chunk {
	struct {
		size_t len;
		union kept_chunk *next;
	};
	max_align_t align;
};

/* One of that length.  Where there is none another encoder is at work, which has no use for the others. */
static union kept_chunk *take_kept(struct kept *kept, size_t len)
{
	for (union kept_chunk **at = &kept->chunks; *at != NULL; at = &(*at)->next) {
		union kept_chunk *chunk = *at;
		if (chunk->len == len) {
			*at = chunk->next;
			return chunk;
		}
	}
	kept_free(kept);
	return NULL;
}

static void *take(void *opaque, size_t count, size_t size)
{
	struct kept *kept = opaque;
	uint64_t len;
	if (!checked_mul(count, size, &len) || len > SIZE_MAX - sizeof(union kept_chunk))
		return NULL;
	union kept_chunk *chunk = len < KEPT_MIN ? NULL : take_kept(kept, (size_t)len);
	if (chunk == NULL)
		chunk = malloc(sizeof(*chunk) + (size_t)len);
	if (chunk == NULL)
		return NULL;
	chunk->len = (size_t)len;
	return chunk + 1;
}

static void give(void *opaque, void *bytes)
{
	struct kept *kept = opaque;
	if (bytes == NULL)
		return;
	union kept_chunk *chunk = (union kept_chunk *)bytes - 1;
	if (chunk->len < KEPT_MIN) {
		free(chunk);
		return;
	}
	chunk->next = kept->chunks;
	kept->chunks = chunk;
}

void kept_init(struct kept *kept)
{
	*kept = (struct kept){ .allocator = { .alloc = take, .free = give, .opaque = kept } };
}

void kept_free(struct kept *kept)
{
	while (kept->chunks != NULL) {
		union kept_chunk *next = kept->chunks->next;
		free(kept->chunks);
		kept->chunks = next;
	}
}
