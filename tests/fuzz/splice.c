/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a deflate stream of one piece, in which two ranges are edited: what comes out decodes to the edited text for
 * zlib, if the stream was good, and only what was told has changed.
 *
 * The first bytes: whether its length is to be kept, whether each range stays as it is, and start and length of both.
 */
#include "format/deflate/splice.h"
#include "range/map.h"
#include "spliced_text.h"

struct splicing {
	struct spliced_text text;
	const uint8_t *stream;
	size_t len;
	bool keep_length;
	struct bytes out;
	uint64_t pos;
};

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	(void)fault;
	assert(len > 0 && off + len <= self->text.edited.len && memcmp(bytes, self->text.old.data + off, len) == 0);
	memcpy(bytes, self->text.edited.data + off, len);
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

static void check_result(const struct splicing *self)
{
	struct bytes text = { 0 };
	assert(bytes_equal(&self->text.told, &self->text.edited));
	assert(inflate_all(self->out.data, self->out.len, &text));
	assert(bytes_equal(&text, &self->text.edited));
	free(text.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_LEN)
		return 0;
	struct splicing self = { .stream = data + HEAD_LEN, .len = size - HEAD_LEN, .keep_length = data[0] % 2 };
	bool good = inflate_all(self.stream, self.len, &self.text.old);
	struct blockz_memory memory = { self.stream, self.len };
	struct blockz_source source = blockz_source_memory(&memory);
	struct piece piece = { .file_len = self.len, .method = CHECK_CRC32, .ends_stream = true, .copies = 1 };
	struct blockz_map map = { .file_size = self.len, .image_size = self.text.old.len, .pieces = &piece, .piece_count = 1 };
	struct blockz_range ranges[2];
	struct piece_edit edit = {
		.file = &source, .map = &map, .ranges = ranges, .keep_length = self.keep_length,
		.lay_over = lay_over, .replace = replace, .changed = text_changed, .ctx = &self,
	};
	edit.count = text_edit(&self.text, data, self.text.old.len, ranges);
	if (edit.count > 0 && self.text.old.len <= TEXT_MAX) {
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
	text_free(&self.text);
	free(self.out.data);
	return 0;
}
