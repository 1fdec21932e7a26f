/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as an .xz file, in whose first Block two ranges are edited: that is refused as liblzma refuses the Block, only what
 * was told has changed, and if the file was good, what comes out decodes to the edited image for liblzma.
 *
 * The first bytes: how bytes change, and start and length of both ranges.
 */
#include "format/formats.h"
#include "spliced_text.h"

struct replaced {
	struct blockz_range old;
	struct bytes bytes;
};

struct splicing {
	struct spliced_text text; /* of the Block, which is the first of the image */
	const uint8_t *file;
	size_t len;
	uint64_t growth, tag;
	struct replaced *replaced; /* ascending */
	size_t count;
};

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(len > 0);
	/* Of a damaged Block, text that no decoder has given is not known. */
	if (off + len > self->text.edited.len || memcmp(bytes, self->text.old.data + off, len) != 0)
		return BLOCKZ_OK;
	memcpy(bytes, self->text.edited.data + off, len);
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

static void check_result(struct splicing *self, const struct blockz_source *source, const struct blockz_map *map)
{
	struct bytes old = { 0 }, new = { 0 }, out = { 0 };
	uint64_t pos = 0;
	const struct renewed_piece piece = { .file_len = map->pieces[0].file_len + self->growth, .tag = self->tag };
	const struct renewal renewal = {
		.file = source, .map = map, .pieces = &piece, .count = 1, .replace = replace, .ctx = self,
	};
	assert(bytes_equal(&self->text.told, &self->text.edited));
	enum verdict verdict = judge_xz(self->file, self->len, TEXT_MAX, &old);
	if (verdict == ACCEPTED && format_xz.renew_index(&renewal, NULL) == BLOCKZ_OK) {
		for (size_t i = 0; i < self->count; i++) {
			bytes_append(&out, self->file + pos, (size_t)(self->replaced[i].old.start - pos));
			bytes_append(&out, self->replaced[i].bytes.data, self->replaced[i].bytes.len);
			pos = self->replaced[i].old.end;
		}
		bytes_append(&out, self->file + pos, self->len - (size_t)pos);
		assert(judge_xz(out.data, out.len, TEXT_MAX, &new) == ACCEPTED);
		memcpy(old.data, self->text.edited.data, self->text.edited.len);
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
		.changed = text_changed, .ctx = self,
	};
	bool done = false;
	enum blockz_status expected = decode_first(source, map, &self->text.old);
	if (self->text.old.len > TEXT_MAX)
		return;
	edit.count = text_edit(&self->text, head, image_len, ranges);
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
	text_free(&self.text);
	return 0;
}
