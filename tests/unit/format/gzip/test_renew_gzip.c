/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gzip files whose pieces are encoded again: in place, or to a new file; files of our own, of other programs, of several
 * members.  The test does by hand what is done with a row: it moves the checks, and puts together what is replaced.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "foreign.h"
#include "format/deflate/encode.h"
#include "format/deflate/fill.h"
#include "format/format.h"
#include "format/gzip/head.h"
#include "format/gzip/layout.h"

enum { REPLACED_MAX = 200, PIECE = 65536 };

/* ---- What stands around a row ---- */

struct replaced {
	struct blockz_range old;
	struct bytes bytes;
};

struct renewing {
	struct bytes old;   /* the file, with its checks as they will be */
	struct bytes image; /* as it is wanted */
	struct blockz_map *map;
	struct replaced replaced[REPLACED_MAX], *last;
	size_t count;
	struct renewed_piece pieces[REPLACED_MAX];
	size_t piece_count;
};

static enum blockz_status replace(void *context, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct renewing *self = context;
	(void)fault;
	ck_assert_uint_lt(self->count, REPLACED_MAX);
	self->replaced[self->count++] = (struct replaced){ old, bytes_copy((struct bytes){ (uint8_t *)(uintptr_t)bytes, len }) };
	return BLOCKZ_OK;
}

static void move_checks(struct renewing *self)
{
	for (int of_file = 0; of_file < 2; of_file++)
		for (size_t i = 0; i < self->map->check_count; i++) {
			const struct check *check = &self->map->checks[i];
			const uint8_t *bytes = of_file ? self->old.data : self->image.data;
			if (check->of_file == of_file)
				store_le32(self->old.data + check->field_off,
					   (uint32_t)crc32_z(0, bytes + check->start, check->end - check->start));
		}
}

/* Encodes by one level; false: it has to be old_len bytes long, and is not. */
static bool encode(const struct format *row, struct pack_params params, const struct plain_piece *plain, uint64_t old_len,
		   struct encoding *encoding)
{
	bool filled = true;
	void *encoder = row->encoder_new(&params);
	ck_assert_ptr_nonnull(encoder);
	ck_assert_int_eq(row->encode(encoder, plain, encoding, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(encoding->tag, crc32_z(0, plain->bytes, plain->len));
	row->encoder_free(encoder);
	if (old_len != 0)
		ck_assert_int_eq(row->fill(encoding, old_len, &filled, NULL), BLOCKZ_OK);
	return filled;
}

static bool renew_copy(struct renewing *self, size_t item, uint64_t copy, struct blockz_range range, bool in_place)
{
	const struct piece *piece = &self->map->pieces[item];
	const struct format *row = self->map->format;
	struct blockz_source file = bytes_source(self->old);
	struct pack_params params;
	struct encoding encoding = { .len = 0 };
	struct plain_piece plain = {
		self->image.data + range.start, range.end - range.start, range.start, false, piece->ends_stream,
	};
	uint64_t old_len = piece->file_len / piece->copies;
	ck_assert_int_eq(row->renew_params(&file, self->map, item, &params, NULL), BLOCKZ_OK);
	ck_assert_int_eq(params.check, CHECK_CRC32);
	bool done = false;
	if (!in_place && params.level == 0)
		params.level = row->renew_levels[0];
	if (!in_place)
		done = encode(row, params, &plain, 0, &encoding);
	for (const int *level = row->renew_levels; !done && *level != 0; level++) {
		params.level = *level;
		done = encode(row, params, &plain, old_len, &encoding);
	}
	if (done) {
		uint64_t off = piece->file_off + copy * old_len;
		replace(self, (struct blockz_range){ off, off + old_len }, encoding.out.bytes, encoding.len, NULL);
		self->pieces[self->piece_count++] =
			(struct renewed_piece){ item, copy, encoding.len, encoding.tag, (uint32_t)encoding.tag };
	}
	buffer_free(&encoding.out);
	return done;
}

/* Encodes each copy again that differs between two images. */
static bool renew_pieces(struct renewing *self, struct bytes image, bool in_place)
{
	const struct blockz_map *map = self->map;
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		uint64_t end = i + 1 < map->piece_count ? map->pieces[i + 1].start : map->image_size;
		uint64_t len = (end - piece->start) / piece->copies;
		for (uint64_t copy = 0, at = piece->start; copy < piece->copies; copy++, at += len)
			if (memcmp(image.data + at, self->image.data + at, len) != 0 &&
			    !renew_copy(self, i, copy, (struct blockz_range){ at, at + len }, in_place))
				return false;
	}
	return true;
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct replaced *)a)->old.start, y = ((const struct replaced *)b)->old.start;
	return (x > y) - (x < y);
}

/* The old file with what is replaced in its place. */
static struct bytes put_together(struct renewing *self)
{
	struct deflate_data file = { .room = 0 };
	uint64_t at = 0;
	qsort(self->replaced, self->count, sizeof(self->replaced[0]), by_offset);
	for (size_t i = 0; i < self->count; i++) {
		const struct replaced *replaced = &self->replaced[i];
		ck_assert_uint_ge(replaced->old.start, at); /* so that none overlap */
		deflate_append(&file, self->old.data + at, replaced->old.start - at);
		deflate_append(&file, replaced->bytes.data, replaced->bytes.len);
		at = replaced->old.end;
	}
	deflate_append(&file, self->old.data + at, self->old.len - at);
	return file.bytes;
}

/* Makes the file hold another image.  BLOCKZ_FAILED: a piece does not fit in its place. */
static enum blockz_status renew(struct bytes *file, bool scan, struct bytes image, struct bytes edited, bool in_place)
{
	static struct renewing self;
	self = (struct renewing){ .old = bytes_copy(*file), .image = edited, .map = map_of(bytes_source(*file), scan) };
	struct blockz_source moved = bytes_source(self.old);
	move_checks(&self);
	enum blockz_status status = renew_pieces(&self, image, in_place) ? BLOCKZ_OK : BLOCKZ_FAILED;
	struct renewal renewal = {
		.file = &moved, .map = self.map, .pieces = self.pieces, .count = self.piece_count, .file_size = file->len,
		.replace = replace, .ctx = &self,
	};
	for (size_t i = 0; i < self.count; i++)
		renewal.file_size += self.replaced[i].bytes.len - (self.replaced[i].old.end - self.replaced[i].old.start);
	if (status == BLOCKZ_OK)
		status = self.map->format->renew_index(&renewal, NULL);
	if (status == BLOCKZ_OK) {
		*file = put_together(&self);
		ck_assert_uint_eq(file->len, renewal.file_size);
	}
	blockz_map_free(self.map);
	return status;
}

/* ---- Images, and what is seen of an index ---- */

/* Changes some bytes of an image, from off on. */
static struct bytes edit(struct bytes image, uint64_t off, size_t len)
{
	struct bytes edited = bytes_copy(image);
	for (size_t i = 0; i < len; i++)
		edited.data[off + i] ^= (uint8_t)(1 + rnd_below(255));
	return edited;
}

static struct blockz_map *indexed_map(struct bytes file)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	ck_assert_msg(map->index_fault.status == BLOCKZ_OK, "%s", map->index_fault.text);
	ck_assert_int_eq(map->index, BLOCKZ_INDEX_HEADER);
	return map;
}

static void has_index(struct bytes file)
{
	blockz_map_free(indexed_map(file));
}

static void has_no_index(struct bytes file)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	ck_assert_int_eq(map->index, BLOCKZ_INDEX_NONE);
	ck_assert_int_eq(map->index_fault.status, BLOCKZ_OK);
	blockz_map_free(map);
}

static const struct blockz_format *gzip(void)
{
	return format_named("gzip");
}

/* ---- Files with an index ---- */

START_TEST(an_index_follows)
{
	static const struct blockz_range raw[] = { { 100000, 150000 }, { 400000, 400100 } };
	struct bytes image = bytes_join(image_new(IMAGE_DISK, 700000), image_new(IMAGE_ZEROS, 500000));
	image = bytes_join(image, image_new(IMAGE_TEXT, 100001));
	struct blockz_pack_options options = { .piece_size = PIECE, .raw = raw, .raw_count = 2, .level = 6 };
	struct bytes file = pack_image(gzip(), image, options, NULL);
	for (unsigned round = 0; round < 30; round++) {
		struct bytes edited = bytes_copy(image);
		for (unsigned i = 0; i < 3; i++) {
			uint64_t at = rnd_below(image.len - 5000);
			rnd_fill(edited.data + at, rnd_below(2) ? 3 : rnd_below(5000));
		}
		for (unsigned i = 0; i < 2; i++) /* which are not this test's business */
			memcpy(edited.data + raw[i].start, image.data + raw[i].start, raw[i].end - raw[i].start);
		ck_assert_int_eq(renew(&file, false, image, edited, false), BLOCKZ_OK);
		image = edited;
		has_index(file);
		assert_reads(gzip(), file, image);
		ck_assert(index_of(file).data[INDEX_FLAGS_OFF] & INDEX_FLAG_DATA_CRCS);
		ck_assert_uint_eq(index_of(file).data[INDEX_LEVEL_OFF], 6);
	}
}
END_TEST

START_TEST(in_place_nothing_but_the_piece_and_its_checks)
{
	struct bytes image = image_new(IMAGE_TEXT, 10 * PIECE);
	struct bytes file = pack_image(gzip(), image, (struct blockz_pack_options){ .piece_size = PIECE, .level = 1 }, NULL);
	for (unsigned round = 0; round < 20; round++) {
		uint64_t at = rnd_below(image.len - 10);
		struct bytes edited = edit(image, at, 10), before = bytes_copy(file);
		ck_assert_int_eq(renew(&file, false, image, edited, true), BLOCKZ_OK);
		ck_assert_uint_eq(file.len, before.len);
		struct blockz_map *map = indexed_map(file);
		struct piece *first = &map->pieces[at / PIECE], *last = &map->pieces[(at + 9) / PIECE];
		uint64_t body = map->pieces[0].file_off, end = last->file_off + last->file_len;
		ck_assert_mem_eq(file.data + body, before.data + body, first->file_off - body);
		ck_assert_mem_eq(file.data + end, before.data + end, file.len - end - GZIP_TRAILER_LEN);
		blockz_map_free(map);
		assert_reads(gzip(), file, edited);
		image = edited;
	}
}
END_TEST

/* Zeros by hand, in an index without CRCs of data, which has hardly any room. */
static struct bytes zeros_file(struct bytes image, size_t filler, size_t copies)
{
	struct deflate_data data = { .room = 0 };
	struct encoding encoding = { .len = 0 };
	struct plain_piece plain = { .bytes = image.data, .len = PIECE };
	void *encoder = deflate_encoder_new(&(struct pack_params){ .level = 6 });
	bool filled;
	ck_assert_int_eq(deflate_encode(encoder, &plain, &encoding, NULL), BLOCKZ_OK);
	ck_assert_int_eq(deflate_fill(&encoding, encoding.len + filler, &filled, NULL), BLOCKZ_OK);
	ck_assert(filled);
	for (size_t i = 0; i < copies; i++)
		deflate_append(&data, encoding.out.bytes, encoding.len);
	deflate_append(&data, "\x03\x00", 2);
	const struct index_claim claim = { INDEX_ZERO, encoding.len, copies };
	deflate_encoder_free(encoder);
	buffer_free(&encoding.out);
	return gzip_indexed(data.bytes, image, &claim, 1, NULL, 0);
}

/* A copy of a zero piece becomes data, at the beginning, in the middle, at the end, alone; of the same length, or longer. */
START_TEST(a_zero_piece_becomes_data)
{
	for (size_t copies = 1; copies <= 3; copies++)
		for (size_t copy = 0; copy < copies; copy++)
			for (int in_place = 0; in_place < 2; in_place++) {
				struct bytes image = image_new(IMAGE_ZEROS, copies * PIECE), file = zeros_file(image, 200, copies);
				struct bytes edited = edit(image, copy * PIECE + 100, in_place ? 10 : 400);
				size_t len = file.len;
				has_index(file);
				ck_assert_int_eq(renew(&file, false, image, edited, in_place), BLOCKZ_OK);
				ck_assert((file.len == len) == in_place);
				assert_reads(gzip(), file, edited);
				struct blockz_map *map = indexed_map(file);
				ck_assert_uint_eq(index_of(file).data[INDEX_FLAGS_OFF], 0);
				/* In the middle of a run is one entry more, for which there is no room. */
				bool larger = copies == 3 && copy == 1;
				ck_assert_uint_eq(index_of(file).data[INDEX_VERSION_OFF], larger ? INDEX_VERSION_GROUPS : INDEX_VERSION_PIECES);
				ck_assert_uint_eq(index_of(file).data[INDEX_PIECE_LOG_OFF], INDEX_PIECE_LOG_MIN);
				for (size_t i = 0; i < map->piece_count; i++)
					ck_assert_int_eq(map->pieces[i].kind, larger || map->pieces[i].start == copy * PIECE
										      ? BLOCKZ_COMPRESSED : BLOCKZ_ZERO);
				blockz_map_free(map);
			}
}
END_TEST

/* With less room than it would take an index has groups. */
START_TEST(an_index_becomes_less)
{
	struct bytes image = image_new(IMAGE_ZEROS, 64 * PIECE), edited = bytes_copy(image), file = zeros_file(image, 0, 64);
	for (size_t copy = 0; copy < 64; copy += 2)
		rnd_fill(edited.data + copy * PIECE, 100);
	ck_assert_int_eq(renew(&file, false, image, edited, false), BLOCKZ_OK);
	assert_reads(gzip(), file, edited);
	has_index(file);
	ck_assert_uint_eq(index_of(file).data[INDEX_VERSION_OFF], INDEX_VERSION_GROUPS);
}
END_TEST

/* Pieces that a scan has cut are not those of the index. */
START_TEST(a_scan_leaves_no_index)
{
	struct bytes image = image_new(IMAGE_TEXT, 12 * PIECE), edited = edit(image, 5 * PIECE, 100);
	struct bytes file = pack_image(gzip(), image, (struct blockz_pack_options){ .piece_size = PIECE, .level = 1 }, NULL);
	has_index(file);
	ck_assert_int_eq(renew(&file, true, image, edited, _i == 0), BLOCKZ_OK);
	has_no_index(file);
	assert_reads(gzip(), file, edited);
}
END_TEST

/* A damaged index is no better and no worse afterwards, and what was appended counts for no file size in a good one. */
START_TEST(bad_indexes_and_appended_bytes)
{
	struct bytes image = image_new(IMAGE_TEXT, 3 * PIECE), edited = edit(image, PIECE, 100), found;
	struct bytes file = pack_image(gzip(), image, (struct blockz_pack_options){ .piece_size = PIECE, .level = 1 }, NULL);
	struct bytes damaged = bytes_copy(file), appended = bytes_join(file, (struct bytes){ (uint8_t[]){ 'm', 'e', 't', 'a' }, 4 });
	index_of(damaged).data[INDEX_LEVEL_OFF] ^= 1;
	struct bytes index = bytes_copy(index_of(damaged));
	ck_assert_int_eq(renew(&damaged, false, image, edited, false), BLOCKZ_OK);
	assert_bytes(index_of(damaged), index);
	assert_decodes("gzip", damaged, edited);

	ck_assert_int_eq(renew(&appended, false, image, edited, false), BLOCKZ_OK);
	struct blockz_map *map = indexed_map(appended);
	ck_assert_uint_eq(map->appended_bytes, 4);
	blockz_map_free(map);
	ck_assert(extracts(appended, false, &found));
	assert_bytes(found, edited);
}
END_TEST

START_TEST(the_level_is_that_of_the_index)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000);
	struct pack_params params;
	for (int level = 1; level <= 12; level++)
		for (int scan = 0; scan < 2; scan++) {
			struct bytes file = pack_image(gzip(), image, (struct blockz_pack_options){ .level = level }, NULL);
			struct blockz_source source = bytes_source(file);
			struct blockz_map *map = map_of(source, scan);
			ck_assert_int_eq(map->format->renew_params(&source, map, 0, &params, NULL), BLOCKZ_OK);
			ck_assert_int_eq(params.level, scan ? 0 : level);
			ck_assert_uint_eq(params.piece_size, image.len);
			blockz_map_free(map);
		}
}
END_TEST

/* ---- Files of other programs ---- */

/* A member with a subfield of two letters; of bgzip's, len bytes are its length.  With a CRC of the header, or not. */
static struct bytes member_with(struct bytes image, const char *letters, size_t len, bool header_crc)
{
	struct bytes plain = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct bytes head = bytes_new(GZIP_HEAD_LEN + GZIP_XLEN_LEN + GZIP_SUBFIELD_LEN + len + (header_crc ? 2 : 0));
	struct bytes file = bytes_join(head, (struct bytes){ plain.data + GZIP_HEAD_LEN, plain.len - GZIP_HEAD_LEN });
	memcpy(file.data, plain.data, GZIP_HEAD_LEN);
	file.data[3] = GZIP_FEXTRA | (header_crc ? GZIP_FHCRC : 0);
	store_le16(file.data + 10, (uint16_t)(GZIP_SUBFIELD_LEN + len));
	memcpy(file.data + 12, letters, 2);
	store_le16(file.data + 14, (uint16_t)len);
	if (len == 2)
		store_le16(file.data + 16, (uint16_t)(file.len - 1));
	if (header_crc)
		store_le16(file.data + head.len - 2, (uint16_t)crc32_z(0, file.data, head.len - 2));
	return file;
}

/* Each member's header says how long it is. */
static void assert_lengths(struct bytes file)
{
	while (file.len > 0) {
		struct blockz_source source = bytes_source(file);
		struct gzip_head head;
		ck_assert_int_eq(gzip_head_read(&source, 0, &head, NULL), BLOCKZ_OK);
		ck_assert_uint_ne(head.size_off, 0);
		size_t len = load_le16(file.data + head.size_off) + (size_t)1;
		ck_assert_uint_le(len, file.len);
		ck_assert_mem_eq(file.data + head.body_off - (head.crc_off != 0 ? 2 : 0) - 2, file.data + head.size_off, 2);
		file = (struct bytes){ file.data + len, file.len - len };
	}
}

/* Members of bgzip, empty ones among them: at the beginning, two in a row, and at the end. */
START_TEST(lengths_of_bgzip_follow)
{
	bool header_crc = _i & 1, in_place = _i & 2;
	struct bytes image = image_new(IMAGE_TEXT, 20 * PIECE - 100), none = bytes_new(0);
	struct bytes empty = member_with(none, "BC", 2, header_crc), file = empty;
	for (size_t at = 0; at < image.len; at += 50000) {
		size_t len = image.len - at < 50000 ? image.len - at : 50000;
		file = bytes_join(file, member_with((struct bytes){ image.data + at, len }, "BC", 2, header_crc));
		if (at % 200000 == 0)
			file = bytes_join(file, bytes_join(empty, empty));
	}
	file = bytes_join(file, empty);
	assert_lengths(file);
	for (unsigned round = 0; round < 20; round++) {
		struct bytes edited = edit(image, rnd_below(image.len - 100000), in_place ? 3 : 1 + rnd_below(3000)), before = file;
		ck_assert_int_eq(renew(&file, false, image, edited, in_place), BLOCKZ_OK);
		ck_assert((file.len == before.len) == in_place);
		assert_lengths(file);
		assert_reads(gzip(), file, edited);
		image = edited;
	}
}
END_TEST

START_TEST(a_member_of_bgzip_has_64_kib)
{
	struct bytes image = image_new(IMAGE_ZEROS, 70000), edited = bytes_copy(image);
	rnd_fill(edited.data, edited.len);
	struct bytes file = member_with(image, "BC", 2, false), other = bytes_copy(file);
	ck_assert_int_eq(renew(&file, false, image, edited, false), BLOCKZ_UNSUPPORTED);
	/* What has two bytes of another meaning stays. */
	other.data[16] ^= 1;
	uint8_t field[2] = { other.data[16], other.data[17] };
	ck_assert_int_eq(renew(&other, false, image, edited, false), BLOCKZ_OK);
	ck_assert_mem_eq(other.data + 16, field, 2);
	assert_reads(gzip(), other, edited);
}
END_TEST

/* dictzip's table of chunks is refused, and where lengths change all that is not known; in the member that is edited. */
START_TEST(fields_of_other_programs)
{
	struct bytes image = image_new(IMAGE_TEXT, 100000), two = bytes_join(image, image), edited = edit(two, 150000, 10);
	struct bytes plain = zlib_pack(image, 1, Z_DEFAULT_STRATEGY), chunks = member_with(image, "RA", 10, false);
	struct bytes others = member_with(image, "QX", 10, false);
	struct bytes files[] = { bytes_join(plain, chunks), bytes_join(plain, others), bytes_join(others, plain) };
	ck_assert_int_eq(renew(&files[0], false, two, edited, false), BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(renew(&files[0], false, two, edited, true), BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(renew(&files[1], false, two, edit(two, 150000, 3000), false), BLOCKZ_UNSUPPORTED);
	for (int i = 1; i < 3; i++) {
		ck_assert_int_eq(renew(&files[i], false, two, edited, i == 1), BLOCKZ_OK);
		assert_reads(gzip(), files[i], edited);
	}
}
END_TEST

/* Members of several pieces each, the last of which ends its stream at any bit; so with pigz -i, and several files in one. */
START_TEST(members_of_several_pieces)
{
	bool in_place = _i == 1;
	struct bytes image = bytes_new(0), file = image;
	for (unsigned i = 0; i < 3; i++) {
		struct bytes part = image_new(IMAGE_TEXT, 900000 + i);
		struct zlib_file *zlib = zlib_begin(1, Z_DEFAULT_STRATEGY, part.len);
		for (size_t at = 0; at < part.len; at += 128 * KIB) {
			size_t len = part.len - at < 128 * KIB ? part.len - at : 128 * KIB;
			zlib_put(zlib, part.data + at, len, Z_FULL_FLUSH);
			if (i == 2 && at == 0) /* the last has no flush before its end */
				zlib_put(zlib, part.data + at + len, part.len - len, Z_NO_FLUSH), at = part.len;
		}
		file = bytes_join(file, zlib_end(zlib));
		image = bytes_join(image, part);
	}
	struct blockz_map *map = map_of(bytes_source(file), false);
	ck_assert_uint_gt(map->piece_count, 6);
	ck_assert_uint_eq(map->pieces[map->piece_count - 1].ends_stream, 1);
	blockz_map_free(map);
	for (unsigned round = 0; round < 10; round++) {
		struct bytes edited = edit(image, rnd_below(image.len - 20), 20);
		if (round == 9)
			edited = edit(image, image.len - 20, 20);
		struct bytes now = file;
		ck_assert_int_eq(renew(&now, false, image, edited, in_place), BLOCKZ_OK);
		assert_reads(gzip(), now, edited);
		if (in_place) /* a strong level may not fit once more */
			continue;
		image = edited;
		file = now;
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("renew");
	tcase_add_test(c, an_index_follows);
	tcase_add_test(c, in_place_nothing_but_the_piece_and_its_checks);
	tcase_add_test(c, a_zero_piece_becomes_data);
	tcase_add_test(c, an_index_becomes_less);
	tcase_add_loop_test(c, a_scan_leaves_no_index, 0, 2);
	tcase_add_test(c, bad_indexes_and_appended_bytes);
	tcase_add_test(c, the_level_is_that_of_the_index);
	tcase_add_loop_test(c, lengths_of_bgzip_follow, 0, 4);
	tcase_add_test(c, a_member_of_bgzip_has_64_kib);
	tcase_add_test(c, fields_of_other_programs);
	tcase_add_loop_test(c, members_of_several_pieces, 0, 2);
	return case_run("renew", c);
}
