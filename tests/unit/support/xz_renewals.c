/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces are encoded by the row, with the parameters that it takes from the file. */
#include "xz_renewals.h"

#include <string.h>

#include "format/formats.h"

struct xz_renewing *xz_renewing_new(struct bytes file)
{
	struct xz_renewing *self = keep(sizeof(*self));
	*self = (struct xz_renewing){ .record = splice_record(file, bytes_new(0), bytes_new(0)), .source = bytes_source(file) };
	self->map = map_of(self->source, false);
	ck_assert_str_eq(self->map->format->public.name, "xz");
	return self;
}

struct pack_params xz_renewing_params(const struct xz_renewing *self, size_t piece)
{
	struct pack_params params;
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = format_xz.renew_params(&self->source, self->map, piece, &params, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	return params;
}

struct encoding xz_renewing_encode_by(const struct xz_renewing *self, size_t piece, struct bytes plain, int level)
{
	struct pack_params params = xz_renewing_params(self, piece);
	struct encoding encoding = { .len = 0 };
	ck_assert_int_eq(params.level, 0); /* a file does not say */
	params.level = level;
	void *encoder = format_xz.encoder_new(&params);
	ck_assert_ptr_nonnull(encoder);
	ck_assert_int_eq(format_xz.encode(encoder, &(struct plain_piece){ .bytes = plain.data, .len = plain.len }, &encoding,
					  NULL), BLOCKZ_OK);
	format_xz.encoder_free(encoder);
	return encoding;
}

struct encoding xz_renewing_encode(const struct xz_renewing *self, size_t piece, struct bytes plain)
{
	return xz_renewing_encode_by(self, piece, plain, format_xz.renew_levels[0]);
}

void xz_renewing_put(struct xz_renewing *self, size_t index, uint64_t copy, const struct encoding *encoding)
{
	const struct piece *piece = &self->map->pieces[index];
	uint64_t old_len = piece->file_len / piece->copies, off = piece->file_off + copy * old_len;
	ck_assert_uint_eq(encoding->len % 4, 0);
	ck_assert_uint_lt(self->count, XZ_RENEWED_MAX);
	record_replace(&self->record, (struct blockz_range){ off, off + old_len }, encoding->out.bytes, encoding->len, NULL);
	self->pieces[self->count++] = (struct renewed_piece){
		.piece = index, .copy = copy, .file_len = encoding->len, .tag = encoding->tag,
	};
}

void xz_renewing_piece(struct xz_renewing *self, size_t index, uint64_t copy, struct bytes edited)
{
	const struct piece *piece = &self->map->pieces[index];
	uint64_t image_len = (map_piece_end(self->map, index) - piece->start) / piece->copies;
	struct bytes plain = { edited.data + piece->start + copy * image_len, image_len };
	struct encoding encoding = xz_renewing_encode(self, index, plain);
	xz_renewing_put(self, index, copy, &encoding);
	buffer_free(&encoding.out);
}

struct bytes xz_renewing_finish(struct xz_renewing *self)
{
	size_t before = self->record.replaced_count;
	const struct renewal renewal = {
		.file = &self->source, .map = self->map, .pieces = self->pieces, .count = self->count, .replace = record_replace,
		.ctx = &self->record,
	};
	ck_assert_int_eq(format_xz.renew_index(&renewal, NULL), BLOCKZ_OK);
	self->index_replaced = self->record.replaced_count - before;
	record_sort(&self->record, false);
	blockz_map_free(self->map);
	return record_result(&self->record);
}

void xz_renewing_range(struct xz_renewing *self, struct bytes edited, struct blockz_range range)
{
	for (size_t i = 0; i < self->map->piece_count; i++) {
		const struct piece *piece = &self->map->pieces[i];
		uint64_t len = (map_piece_end(self->map, i) - piece->start) / piece->copies;
		for (uint64_t copy = 0; copy < piece->copies; copy++) {
			uint64_t start = piece->start + copy * len;
			if (start < range.end && range.start < start + len)
				xz_renewing_piece(self, i, copy, edited);
		}
	}
}

struct bytes xz_renewing_file(struct bytes file, struct bytes edited, struct blockz_range range)
{
	struct xz_renewing *self = xz_renewing_new(file);
	xz_renewing_range(self, edited, range);
	return xz_renewing_finish(self);
}

struct bytes xz_renewing_check(struct bytes file, struct bytes image, struct blockz_range range)
{
	struct bytes edited = bytes_copy(image);
	complement(edited, range);
	struct bytes out = xz_renewing_file(file, edited, range);
	assert_reads(format_named("xz"), out, edited);
	return out;
}
