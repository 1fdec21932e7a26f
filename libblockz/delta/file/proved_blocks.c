/* SPDX-License-Identifier: BSD-3-Clause */
/* A list by ascending offsets; the content is not kept, but a digest of it. */
#include "delta/file/proved_blocks.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bisect.h"
#include "base/export.h"
#include "base/fault.h"
#include "io/access.h"

struct blockz_proved_blocks {
	struct blockz_source file; /* NEW */
	struct proved_block *items;
	size_t count, room;
};

EXPORT struct blockz_proved_blocks *blockz_proved_blocks_new(void)
{
	return calloc(1, sizeof(struct blockz_proved_blocks));
}

EXPORT void blockz_proved_blocks_free(struct blockz_proved_blocks *proved)
{
	if (proved != NULL)
		free(proved->items);
	free(proved);
}

uint64_t proved_blocks_memory(uint64_t count)
{
	return count * sizeof(struct proved_block);
}

bool proved_blocks_start(struct blockz_proved_blocks *proved, const struct blockz_source *new_image, size_t count)
{
	free(proved->items);
	*proved = (struct blockz_proved_blocks){ .file = *new_image };
	proved->items = calloc(count + 1, sizeof(*proved->items));
	proved->room = count;
	return proved->items != NULL;
}

void proved_blocks_add(struct blockz_proved_blocks *proved, const struct proved_block *block)
{
	assert(proved->count < proved->room);
	assert(proved->count == 0 || proved->items[proved->count - 1].file_off < block->file_off);
	proved->items[proved->count++] = *block;
}

static bool starts_at_or_before(const void *proved, uint64_t i, uint64_t file_off)
{
	return ((const struct blockz_proved_blocks *)proved)->items[i].file_off <= file_off;
}

const struct proved_block *proved_blocks_find(const struct blockz_proved_blocks *proved, uint64_t file_off)
{
	if (proved == NULL || proved->count == 0)
		return NULL;
	const struct proved_block *block =
		&proved->items[bisect_last(proved->count, starts_at_or_before, proved, file_off)];
	return block->file_off == file_off ? block : NULL;
}

enum blockz_status proved_blocks_read(const struct blockz_proved_blocks *proved, const struct proved_block *block,
				      struct buffer *out, struct blockz_fault *fault)
{
	if (!buffer_reserve(out, block->file_len))
		return fault_nomem(fault);
	return read_data(&proved->file, out->bytes, block->file_len, block->file_off, BLOCKZ_ABOUT_NEW, fault);
}
