/* SPDX-License-Identifier: BSD-3-Clause */
/* Text inside of which two ranges are edited, chosen by the first bytes of an input, and what a splice tells of it. */
#ifndef FUZZ_SPLICED_TEXT_H
#define FUZZ_SPLICED_TEXT_H

#include "base/bytes.h"
#include "format/format.h"
#include "fuzz.h"

/* The first bytes: the target's own choice, how bytes change, and start and length of both ranges. */
enum { HEAD_LEN = 10, TEXT_MAX = 8 << 20 };

struct spliced_text {
	struct bytes old, edited, told; /* told: the old one, with what was said to have changed */
	uint64_t pos;                   /* behind what was told last */
};

/* A callback of struct piece_edit, of which ctx begins with a struct spliced_text. */
static inline enum blockz_status text_changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
					      struct blockz_fault *fault)
{
	struct spliced_text *text = ctx;
	(void)fault;
	assert(len > 0 && off >= text->pos && off + len <= text->told.len);
	assert(memcmp(old, text->old.data + off, len) == 0);
	memcpy(text->told.data + off, new, len);
	text->pos = off + len;
	return BLOCKZ_OK;
}

/* Chooses up to two ranges of a text of len bytes, apart and in order, and edits what is known of it; returns how many. */
static inline size_t text_edit(struct spliced_text *text, const uint8_t *head, uint64_t len, struct blockz_range ranges[2])
{
	uint64_t scale = len / 65536 + 1, pos = 0;
	size_t count = 0;
	bytes_append(&text->edited, text->old.data, text->old.len);
	bytes_append(&text->told, text->old.data, text->old.len);
	for (size_t i = 0; i < 2; i++) {
		uint64_t start = pos + load_le16(head + 2 + 4 * i) * scale, end = start + 1 + load_le16(head + 4 + 4 * i);
		if (start >= len)
			break;
		ranges[count++] = (struct blockz_range){ start, end < len ? end : len };
		for (pos = start; pos < ranges[i].end; pos++)
			if (pos < text->edited.len)
				text->edited.data[pos] ^= (uint8_t)(head[1] >> 4 * i & (pos % 7 == 0 ? 15 : 8));
		pos++;
	}
	return count;
}

static inline void text_free(struct spliced_text *text)
{
	free(text->old.data);
	free(text->edited.data);
	free(text->told.data);
}

#endif
