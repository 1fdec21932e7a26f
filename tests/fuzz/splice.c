/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a deflate stream of one piece, in which two ranges are edited: what comes out decodes to the edited text for
 * zlib, if the stream was good, and only what was told has changed.
 *
 * The first bytes: whether its length is to be kept, whether each range stays as it is, and start and length of both.
 */
#include "base/bytes.h"
#include "format/deflate/splice.h"
#include "fuzz.h"
#include "range/map.h"

enum { HEAD_LEN = 10, TEXT_MAX = 8 << 20 };

struct splicing {
	const uint8_t *stream;
	size_t len;
	bool keep_length;
	struct bytes old, edited, told, out;
	uint64_t pos, image_pos;
};

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(len > 0 && off + len <= self->edited.len && memcmp(bytes, self->old.data + off, len) == 0);
	memcpy(bytes, self->edited.data + off, len);
	return BLOCKZ_OK;
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(old.start >= self->pos && old.start < old.end && old.end <= self->len);
	assert(!self->keep_length || len == old.end - old.start);
	bytes_append(&self->out, self->stream + self->pos, (size_t)(old.start - self->pos));
	bytes_append(&self->out, bytes, len);
	self->pos = old.end;
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

/* Whether zlib takes all of the bytes for one stream; and its text, as far as that goes. */
static bool inflate_all(const uint8_t *stream, size_t len, struct bytes *text)
{
	static uint8_t part[65536];
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)stream, .avail_in = (uInt)len };
	int error = Z_OK;
	assert(inflateInit2(&z, -15) == Z_OK);
	while (error == Z_OK && text->len <= TEXT_MAX) {
		z.next_out = part;
		z.avail_out = sizeof(part);
		error = inflate(&z, Z_NO_FLUSH);
		bytes_append(text, part, sizeof(part) - z.avail_out);
	}
	bool good = error == Z_STREAM_END && z.avail_in == 0;
	inflateEnd(&z);
	return good;
}

/* Makes up to two ranges of the text, apart and in order, and edits it. */
static size_t edit_text(const uint8_t *head, struct bytes *edited, struct blockz_range ranges[2])
{
	uint64_t len = edited->len, scale = len / 65536 + 1, pos = 0;
	size_t count = 0;
	for (size_t i = 0; i < 2; i++) {
		uint64_t start = pos + load_le16(head + 2 + 4 * i) * scale, end = start + 1 + load_le16(head + 4 + 4 * i);
		if (start >= len)
			break;
		ranges[count++] = (struct blockz_range){ start, end < len ? end : len };
		for (pos = start; pos < ranges[i].end; pos++)
			edited->data[pos] ^= (uint8_t)(head[1] >> 4 * i & (pos % 7 == 0 ? 15 : 8));
		pos++;
	}
	return count;
}

static void check_result(const struct splicing *self)
{
	struct bytes text = { 0 };
	assert(bytes_equal(&self->told, &self->edited));
	assert(inflate_all(self->out.data, self->out.len, &text));
	assert(bytes_equal(&text, &self->edited));
	free(text.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_LEN)
		return 0;
	struct splicing self = { .stream = data + HEAD_LEN, .len = size - HEAD_LEN, .keep_length = data[0] % 2 };
	bool good = inflate_all(self.stream, self.len, &self.old);
	struct blockz_memory memory = { self.stream, self.len };
	struct blockz_source source = blockz_source_memory(&memory);
	struct piece piece = { .file_len = self.len, .method = CHECK_CRC32, .ends_stream = true, .copies = 1 };
	struct blockz_map map = { .file_size = self.len, .image_size = self.old.len, .pieces = &piece, .piece_count = 1 };
	struct blockz_range ranges[2];
	struct piece_edit edit = {
		.file = &source, .map = &map, .ranges = ranges, .keep_length = self.keep_length,
		.lay_over = lay_over, .replace = replace, .changed = changed, .ctx = &self,
	};
	bytes_append(&self.edited, self.old.data, self.old.len);
	bytes_append(&self.told, self.old.data, self.old.len);
	edit.count = edit_text(data, &self.edited, ranges);
	if (edit.count > 0 && self.old.len <= TEXT_MAX) {
		struct blockz_fault fault = { 0 };
		bool done = false;
		enum blockz_status status = deflate_splice(&edit, &done, &fault);
		check_fault(status, &fault);
		assert(status == BLOCKZ_OK || (status == BLOCKZ_DAMAGED && !good));
		assert(status != BLOCKZ_OK || done || self.keep_length);
		bytes_append(&self.out, self.stream + self.pos, self.len - (size_t)self.pos);
		if (good && done)
			check_result(&self);
	}
	free(self.old.data);
	free(self.edited.data);
	free(self.told.data);
	free(self.out.data);
	return 0;
}
