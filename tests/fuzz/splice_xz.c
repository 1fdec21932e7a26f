/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as an .xz file, in whose first Block two ranges are edited: that is refused as liblzma refuses the Block, only what
 * was told has changed, and if the file was good, what comes out decodes to the edited image for liblzma.
 *
 * The first bytes: how bytes change, and start and length of both ranges.
 */
#include "base/bytes.h"
#include "format/formats.h"
#include "fuzz.h"

enum { HEAD_LEN = 10, TEXT_MAX = 8 << 20 };

struct replaced {
	struct blockz_range old;
	struct bytes bytes;
};

struct splicing {
	const uint8_t *file;
	size_t len;
	struct bytes old, edited, told; /* text of the Block, which is the first of the image */
	uint64_t image_pos, growth, tag;
	struct replaced *replaced; /* ascending */
	size_t count;
};

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(len > 0);
	/* Of a damaged Block, text that no decoder has given is not known. */
	if (off + len > self->edited.len || memcmp(bytes, self->old.data + off, len) != 0)
		return BLOCKZ_OK;
	memcpy(bytes, self->edited.data + off, len);
	return BLOCKZ_OK;
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(old.start < old.end && old.end <= self->len);
	size_t at = self->count++;
	self->replaced = realloc(self->replaced, self->count * sizeof(*self->replaced));
	assert(self->replaced != NULL);
	for (; at > 0 && self->replaced[at - 1].old.start >= old.end; at--)
		self->replaced[at] = self->replaced[at - 1];
	assert(at == 0 || self->replaced[at - 1].old.end <= old.start);
	self->replaced[at] = (struct replaced){ .old = old };
	bytes_append(&self->replaced[at].bytes, bytes, len);
	self->growth += len - (old.end - old.start);
	return BLOCKZ_OK;
}

static enum blockz_status changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(len > 0 && off >= self->image_pos && off + len <= self->told.len);
	assert(memcmp(old, self->old.data + off, len) == 0);
	memcpy(self->told.data + off, new, len);
	self->image_pos = off + len;
	return BLOCKZ_OK;
}

/* Decodes the first Block to its end, or until the text is too long. */
static enum blockz_status decode_first(const struct blockz_source *source, const struct blockz_map *map, struct bytes *text)
{
	void *cursor = format_xz.cursor_new(source, map->window_max);
	const uint8_t *bytes;
	size_t len = 1;
	enum blockz_status status = format_xz.cursor_start(cursor, &map->pieces[0], map_piece_end(map, 0), NULL);
	while (status == BLOCKZ_OK && len > 0 && text->len <= TEXT_MAX) {
		status = format_xz.cursor_next(cursor, &bytes, &len, NULL);
		if (status == BLOCKZ_OK)
			bytes_append(text, bytes, len);
	}
	format_xz.cursor_free(cursor);
	return status;
}

/* Makes up to two ranges of the text, apart and in order, and edits it. */
static size_t edit_text(const uint8_t *head, struct bytes *edited, uint64_t len, struct blockz_range ranges[2])
{
	uint64_t scale = len / 65536 + 1, pos = 0;
	size_t count = 0;
	for (size_t i = 0; i < 2; i++) {
		uint64_t start = pos + load_le16(head + 2 + 4 * i) * scale, end = start + 1 + load_le16(head + 4 + 4 * i);
		if (start >= len)
			break;
		ranges[count++] = (struct blockz_range){ start, end < len ? end : len };
		for (pos = start; pos < ranges[i].end; pos++)
			if (pos < edited->len)
				edited->data[pos] ^= (uint8_t)(head[1] >> 4 * i & (pos % 7 == 0 ? 15 : 8));
		pos++;
	}
	return count;
}

static void check_result(struct splicing *self, const struct blockz_source *source, const struct blockz_map *map)
{
	struct bytes old = { 0 }, new = { 0 }, out = { 0 };
	uint64_t pos = 0;
	const struct renewed_piece piece = { .file_len = map->pieces[0].file_len + self->growth, .tag = self->tag };
	const struct renewal renewal = {
		.file = source, .map = map, .pieces = &piece, .count = 1, .replace = replace, .ctx = self,
	};
	assert(bytes_equal(&self->told, &self->edited));
	enum verdict verdict = judge_xz(self->file, self->len, TEXT_MAX, &old);
	if (verdict == ACCEPTED && format_xz.renew_index(&renewal, NULL) == BLOCKZ_OK) {
		for (size_t i = 0; i < self->count; i++) {
			bytes_append(&out, self->file + pos, (size_t)(self->replaced[i].old.start - pos));
			bytes_append(&out, self->replaced[i].bytes.data, self->replaced[i].bytes.len);
			pos = self->replaced[i].old.end;
		}
		bytes_append(&out, self->file + pos, self->len - (size_t)pos);
		assert(judge_xz(out.data, out.len, TEXT_MAX, &new) == ACCEPTED);
		memcpy(old.data, self->edited.data, self->edited.len);
		assert(bytes_equal(&old, &new));
	}
	free(old.data);
	free(new.data);
	free(out.data);
}

static void splice_first(struct splicing *self, const uint8_t *head, const struct blockz_source *source,
			 const struct blockz_map *map)
{
	uint64_t image_len = map_piece_end(map, 0);
	struct blockz_range ranges[2];
	struct blockz_fault fault = { 0 };
	struct piece_edit edit = {
		.file = source, .map = map, .ranges = ranges, .tag_ret = &self->tag, .lay_over = lay_over, .replace = replace,
		.changed = changed, .ctx = self,
	};
	bool done = false;
	enum blockz_status expected = decode_first(source, map, &self->old);
	if (self->old.len > TEXT_MAX)
		return;
	bytes_append(&self->edited, self->old.data, self->old.len);
	bytes_append(&self->told, self->old.data, self->old.len);
	edit.count = edit_text(head, &self->edited, image_len, ranges);
	enum blockz_status status = format_xz.splice(&edit, &done, &fault);
	check_fault(status, &fault);
	assert(status == expected || (status == BLOCKZ_OK && !done));
	if (status == BLOCKZ_OK && done)
		check_result(self, source, map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_LEN)
		return 0;
	struct splicing self = { .file = data + HEAD_LEN, .len = size - HEAD_LEN };
	struct blockz_memory memory = { self.file, self.len };
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_map *map = map_new(&format_xz, self.len);
	assert(map != NULL);
	map->window_max = 64 << 20;
	if (format_xz.map(&source, false, map, NULL) == BLOCKZ_OK && map->piece_count > 0 && map->pieces[0].copies == 1)
		splice_first(&self, data, &source, map);
	blockz_map_free(map);
	for (size_t i = 0; i < self.count; i++)
		free(self.replaced[i].bytes.data);
	free(self.replaced);
	free(self.old.data);
	free(self.edited.data);
	free(self.told.data);
	return 0;
}
