/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Edits inside the deflate streams of others: what comes out is the edited text for zlib and for libdeflate, what was told
 * to have changed is what differs, and little else of the file does.
 */
#include <errno.h>
#include <libdeflate.h>
#include <string.h>

#include "base/fault.h"
#include "foreign.h"
#include "format/deflate/splice.h"
#include "format/deflate/walk.h"
#include "piece_ranges.h"

enum { EDITS_MAX = 64 };

/* ---- Helpers ---- */

/* A file that is spliced, and what is told meanwhile. */
struct splicing {
	struct bytes file;  /* with checks of the edited image */
	struct bytes image, edited;
	struct bytes told; /* the old image, with what was said to have changed */
	struct deflate_data out;
	uint64_t file_pos, image_pos; /* behind what was told last */
	uint64_t replaced, replacements; /* bytes of the old file, and how often */
	bool keep_length, done;
	unsigned fail_at; /* the callback that fails, counted from 1; 0: none */
	unsigned calls;
};

static enum blockz_status fail_here(struct splicing *self, struct blockz_fault *fault)
{
	return ++self->calls == self->fail_at ? fault_set(fault, BLOCKZ_FAILED, 77, "as the test wants it") : BLOCKZ_OK;
}

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(off + len, self->edited.len);
	ck_assert_mem_eq(bytes, self->image.data + off, len);
	memcpy(bytes, self->edited.data + off, len);
	return fail_here(self, fault);
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	ck_assert_uint_ge(old.start, self->file_pos);
	ck_assert_uint_lt(old.start, old.end);
	ck_assert_uint_le(old.end, self->file.len);
	ck_assert(!self->keep_length || len == old.end - old.start);
	deflate_append(&self->out, self->file.data + self->file_pos, old.start - self->file_pos);
	deflate_append(&self->out, bytes, len);
	self->file_pos = old.end;
	self->replaced += old.end - old.start;
	self->replacements++;
	return fail_here(self, fault);
}

static enum blockz_status changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_ge(off, self->image_pos);
	ck_assert_mem_eq(old, self->image.data + off, len);
	ck_assert(old[0] != new[0] && old[len - 1] != new[len - 1]);
	memcpy(self->told.data + off, new, len);
	self->image_pos = off + len;
	return fail_here(self, fault);
}

/* Has all ranges spliced, piece by piece. */
static enum blockz_status splice_all(struct splicing *self, const struct blockz_map *map, const struct blockz_range *ranges,
				     size_t count, struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(self->file);
	struct blockz_range within[EDITS_MAX];
	enum blockz_status status = BLOCKZ_OK;
	self->told = bytes_copy(self->image);
	self->done = true;
	for (size_t i = 0; i < map->piece_count && status == BLOCKZ_OK && self->done; i++) {
		struct piece_edit edit = {
			.file = &source, .map = map, .piece = i, .ranges = within, .keep_length = self->keep_length,
			.lay_over = lay_over, .replace = replace, .changed = changed, .ctx = self,
		};
		edit.count = ranges_in(map, i, ranges, count, within);
		if (edit.count > 0)
			status = deflate_splice(&edit, &self->done, fault);
	}
	deflate_append(&self->out, self->file.data + self->file_pos, self->file.len - self->file_pos);
	return status;
}

/* The file with the checks that the edited image needs. */
static struct bytes with_checks(struct bytes file, const struct blockz_map *map, struct bytes edited)
{
	struct bytes copy = bytes_copy(file);
	for (size_t i = 0; i < map->check_count; i++) {
		const struct check *check = &map->checks[i];
		uint32_t crc = (uint32_t)crc32_z(0, edited.data + check->start, check->end - check->start);
		for (size_t k = 0; k < 4; k++)
			copy.data[check->field_off + k] = (uint8_t)(crc >> 8 * k);
	}
	return copy;
}

static void assert_decodes_twice(struct bytes file, struct bytes image)
{
	const struct kept *mark = kept_so_far();
	struct bytes room = bytes_new(image.len + 1);
	size_t len, made = 0, used, part;
	ck_assert(judge_gzip_members(file, room, &len));
	assert_bytes((struct bytes){ room.data, len }, image);
	memset(room.data, 0, room.len);
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	for (size_t pos = 0; pos < file.len; pos += used, made += part)
		ck_assert_int_eq(libdeflate_gzip_decompress_ex(decompressor, file.data + pos, file.len - pos, room.data + made,
							       room.len - made, &used, &part), LIBDEFLATE_SUCCESS);
	libdeflate_free_decompressor(decompressor);
	assert_bytes((struct bytes){ room.data, made }, image);
	forget_since(mark);
}

static struct splicing splicing_of(struct bytes file, struct bytes image, struct bytes edited, const struct blockz_map *map)
{
	return (struct splicing){ .file = with_checks(file, map, edited), .image = image, .edited = edited };
}

/* Splices ranges of an edited image, and judges what comes out, if it fits. */
static struct splicing splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
				     const struct blockz_range *ranges, size_t count, bool keep_length)
{
	struct blockz_map *map = map_of(bytes_source(file), true);
	struct splicing self = splicing_of(file, image, edited, map);
	struct blockz_fault fault = { .text = "" };
	self.keep_length = keep_length;
	enum blockz_status status = splice_all(&self, map, ranges, count, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "splice: %s", fault.text);
	if (self.done) {
		assert_bytes(self.told, edited);
		assert_decodes_twice(self.out.bytes, edited);
		ck_assert(!keep_length || self.out.bytes.len == file.len);
	}
	blockz_map_free(map);
	return self;
}

static int64_t growth(const struct splicing *self)
{
	return (int64_t)self->out.bytes.len - (int64_t)self->file.len;
}

/* New bytes for a range: other text, text from near by, noise, or the complement. */
static void edit_range(struct bytes edited, struct blockz_range range)
{
	size_t len = range.end - range.start;
	switch (rnd() % 4) {
	case 0:
		fill_text(edited.data + range.start, len);
		break;
	case 1:
		memmove(edited.data + range.start, edited.data + rnd_below(edited.len - len + 1), len);
		break;
	case 2:
		rnd_fill(edited.data + range.start, len);
		break;
	default:
		complement(edited, range);
	}
}

/* Ranges that are apart, of 1 byte to 200 KB, some of them at the image's edges; returns how many. */
static size_t rnd_ranges(uint64_t image_len, struct blockz_range *ranges)
{
	size_t count = 1 + rnd_below(5);
	for (size_t i = 0; i < count; i++) {
		uint64_t len_max = rnd() % 4 == 0 ? 200000 : rnd() % 2 ? 64 : 5000;
		uint64_t len = 1 + rnd_below(len_max < image_len ? len_max : image_len);
		uint64_t start = rnd() % 8 == 0 ? 0 : rnd() % 8 == 0 ? image_len - len : rnd_below(image_len - len + 1);
		ranges[i] = (struct blockz_range){ start, start + len };
	}
	return blockz_ranges_unite(ranges, count);
}

static void splice_at_random(struct bytes file, struct bytes image, unsigned times)
{
	struct blockz_range ranges[EDITS_MAX];
	for (unsigned i = 0; i < times; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		size_t count = rnd_ranges(image.len, ranges);
		for (size_t k = 0; k < count; k++)
			edit_range(edited, ranges[k]);
		splice_ranges(file, image, edited, ranges, count, i % 4 == 3);
		forget_since(mark);
	}
}

/* ---- Writers ---- */

static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };

START_TEST(files_by_zlib)
{
	struct bytes image = image_new(IMAGE_DISK, sanitized ? 300000 : 700000);
	for (int level = _i; level <= 9; level += 5)
		splice_at_random(zlib_pack(image, level, Z_DEFAULT_STRATEGY), image, 12);
	splice_at_random(zlib_pack(image, 6, strategies[_i]), image, 12);
}
END_TEST

START_TEST(files_by_libdeflate)
{
	struct bytes image = image_new(IMAGE_DISK, sanitized ? 300000 : 700000);
	for (int level = 0; level <= 12; level += 3)
		splice_at_random(libdeflate_pack(image, level), image, 12);
}
END_TEST

/* Flushes of all kinds, and levels that change. */
START_TEST(files_of_short_blocks)
{
	static const int flushes[] = { Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK, Z_NO_FLUSH };
	struct bytes image = image_new(IMAGE_TEXT, 600000);
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	for (size_t pos = 0; pos < image.len;) {
		size_t len = 1 + rnd_below(rnd() % 4 ? 3000 : 60);
		len = len < image.len - pos ? len : image.len - pos;
		if (rnd() % 8 == 0)
			zlib_level(file, (int)rnd_below(10));
		zlib_put(file, image.data + pos, len, flushes[rnd() % 5]);
		pos += len;
	}
	splice_at_random(zlib_end(file), image, sanitized ? 10 : 40);
}
END_TEST

START_TEST(files_of_several_members)
{
	struct bytes first = image_new(IMAGE_TEXT, 300000), second = image_new(IMAGE_DISK, 400000);
	struct bytes image = bytes_join(bytes_join(first, second), first);
	struct bytes file = bytes_join(zlib_pack(first, 6, Z_DEFAULT_STRATEGY), libdeflate_pack(second, 6));
	file = bytes_join(file, zlib_pack(first, 9, Z_DEFAULT_STRATEGY));
	splice_at_random(file, image, 20);
}
END_TEST

START_TEST(small_files)
{
	for (size_t len = 1; len < 200; len += 1 + len / 8) {
		struct bytes image = image_new(len % 2 ? IMAGE_TEXT : IMAGE_NOISE, len);
		splice_at_random(zlib_pack(image, 6, strategies[len % 5]), image, 4);
		splice_at_random(libdeflate_pack(image, 6), image, 4);
	}
}
END_TEST

/* ---- What is dirty ---- */

/* The edited phrase comes again and again behind the edit, near and at the window's far end. */
START_TEST(copies_of_the_edit_keep_the_old_text)
{
	enum { PHRASE = 200 };
	struct bytes image = image_new(IMAGE_NOISE, 400000);
	const uint64_t at = 100000;
	const struct blockz_range range = { at, at + PHRASE };
	for (uint64_t off = at + 3 * PHRASE; off < at + 200000; off += 1 + rnd_below(9000))
		memcpy(image.data + off, image.data + at, PHRASE);
	memcpy(image.data + at + 32768, image.data + at, PHRASE);
	memcpy(image.data + at + 32768 + PHRASE - 258, image.data + at + PHRASE - 258, 258);
	struct bytes edited = bytes_copy(image);
	complement(edited, range);
	for (int level = 1; level <= 9; level++)
		splice_ranges(zlib_pack(image, level, Z_DEFAULT_STRATEGY), image, edited, &range, 1, false);
	for (int level = 1; level <= 12; level++)
		splice_ranges(libdeflate_pack(image, level), image, edited, &range, 1, false);
}
END_TEST

START_TEST(only_what_differs_counts)
{
	struct bytes image = image_new(IMAGE_TEXT, 3000000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	const struct blockz_range ranges[] = { { 0, 100 }, { 5000, 2500000 }, { 2999999, 3000000 } };
	struct splicing nothing = splice_ranges(file, image, edited, ranges, 3, false);
	ck_assert_uint_eq(nothing.replacements, 0);
	ck_assert_uint_eq(growth(&nothing), 0);
	edited.data[1500000] ^= 1;
	struct splicing one = splice_ranges(file, image, edited, ranges, 3, false);
	ck_assert_uint_ge(one.replacements, 1);
	ck_assert_uint_lt(one.replaced, 80000);
}
END_TEST

/* ---- Edges ---- */

struct edges {
	uint64_t bit, out; /* in the file, and in the text, where a block begins */
};

static size_t block_edges(struct bytes file, struct edges *edges, size_t room)
{
	struct walker *walker;
	struct walk_block block = { 0 };
	size_t count = 0;
	ck_assert_int_eq(walker_new(&walker, NULL), BLOCKZ_OK);
	walker_reset_memory(walker, file.data + 10, file.len - 18);
	while (!block.final) {
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
		ck_assert_uint_lt(count, room);
		edges[count++] = (struct edges){ block.header_bit, block.out_start };
	}
	walker_free(walker);
	return count;
}

/* Bytes at both sides of each edge, for all bits of a byte at which a block can begin. */
START_TEST(edits_at_the_edges_of_blocks)
{
	static struct edges edges[4000];
	struct bytes image = image_new(IMAGE_TEXT, 400000);
	struct zlib_file *writer = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	for (size_t pos = 0; pos < image.len; pos += 4000)
		zlib_put(writer, image.data + pos, 4000, Z_BLOCK);
	struct bytes file = zlib_end(writer);
	size_t count = block_edges(file, edges, 4000);
	bool begins[8] = { false }, goes_on[8] = { false };
	for (size_t i = 1; i + 10 < count; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range range = { edges[i].out - i % 3, edges[i].out + 1 + i % 2 };
		complement(edited, range);
		splice_ranges(file, image, edited, &range, 1, false);
		begins[edges[i].bit % 8] = goes_on[edges[i + 9].bit % 8] = true;
		forget_since(mark);
	}
	for (int i = 0; i < 8; i++)
		ck_assert(begins[i] && goes_on[i]);
}
END_TEST

/* ---- Long blocks ---- */

static void put_code(struct deflate_data *data, uint64_t *bit, unsigned code, unsigned count)
{
	while (count-- > 0) { /* Huffman codes have their first bit highest */
		if (*bit % 8 == 0)
			deflate_append(data, "", 1);
		data->bytes.data[*bit / 8] |= (uint8_t)((code >> count & 1) << *bit % 8);
		++*bit;
	}
}

/* One fixed block of literals, and of matches of 258 bytes that reach back by 1 or by 24,577 bytes. */
static void put_long_block(struct deflate_data *data, uint64_t *bit, bool final, struct bytes image, size_t start, size_t end)
{
	put_code(data, bit, final ? 6 : 2, 3);
	for (size_t pos = start; pos < end;) {
		bool near = pos > start && rnd() % 64 == 0, far = pos > 30000 && rnd() % 16 == 0;
		if ((near || far) && end - pos >= 258) {
			size_t back = near ? 1 : 24577;
			for (size_t i = 0; i < 258; i++)
				image.data[pos + i] = image.data[pos + i - back];
			pos += 258;
			put_code(data, bit, 0xc5, 8);
			put_code(data, bit, near ? 0 : 29, 5);
			put_code(data, bit, 0, near ? 0 : 13);
			continue;
		}
		uint8_t byte = image.data[pos++];
		put_code(data, bit, byte < 144 ? 0x30U + byte : 0x190U + byte - 144, byte < 144 ? 8 : 9);
	}
	put_code(data, bit, 0, 7);
}

/* A file of two blocks of that length, or of one. */
static struct bytes long_blocks(struct bytes image, bool two)
{
	struct deflate_data data = { .room = image.len * 9 / 8 + 1000 };
	uint64_t bit = 0;
	data.bytes.data = keep(data.room);
	if (two)
		put_long_block(&data, &bit, false, image, 0, image.len / 2);
	put_long_block(&data, &bit, true, image, two ? image.len / 2 : 0, image.len);
	return gzip_member(data.bytes, image);
}

START_TEST(long_blocks_are_divided)
{
	struct bytes image = image_new(IMAGE_TEXT, 5 * MIB);
	struct bytes file = long_blocks(image, _i == 1);
	for (int i = 0; i < (sanitized ? 3 : 10); i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range ranges[4];
		size_t count = 1 + rnd_below(4);
		for (size_t k = 0; k < count; k++) {
			uint64_t start = rnd_below(image.len - 100);
			ranges[k] = (struct blockz_range){ start, start + 1 + rnd_below(100) };
		}
		count = blockz_ranges_unite(ranges, count);
		for (size_t k = 0; k < count; k++)
			edit_range(edited, ranges[k]);
		struct splicing spliced = splice_ranges(file, image, edited, ranges, count, false);
		ck_assert_uint_le(spliced.replaced, count * 2 * 2 * MIB);
		forget_since(mark);
	}
}
END_TEST

/* An edit in each part of the final block, and one in its last bytes. */
START_TEST(the_final_block_is_divided_more_than_once)
{
	struct bytes image = image_new(IMAGE_TEXT, 4 * MIB), edited;
	struct bytes file = long_blocks(image, false);
	struct blockz_range ranges[4];
	for (unsigned picked = 1; picked < 16; picked++) {
		const struct kept *mark = kept_so_far();
		size_t count = 0;
		edited = bytes_copy(image);
		for (unsigned k = 0; k < 4; k++) {
			uint64_t start = k == 3 ? image.len - 5 : (uint64_t)k * 1300000 + 500000;
			if (picked >> k & 1)
				ranges[count++] = (struct blockz_range){ start, start + 5 };
		}
		for (size_t k = 0; k < count; k++)
			complement(edited, ranges[k]);
		splice_ranges(file, image, edited, ranges, count, false);
		forget_since(mark);
	}
}
END_TEST

START_TEST(zeros_without_end)
{
	struct bytes image = image_new(IMAGE_ZEROS, 20 * MIB), edited = bytes_copy(image);
	const struct blockz_range ranges[] = { { 0, 1 }, { 10 * MIB, 10 * MIB + 64 }, { image.len - 1, image.len } };
	for (int i = 0; i < 3; i++)
		rnd_fill(edited.data + ranges[i].start, ranges[i].end - ranges[i].start);
	for (int level = 1; level <= 9; level += 4) {
		struct splicing spliced = splice_ranges(zlib_pack(image, level, Z_DEFAULT_STRATEGY), image, edited, ranges, 3, false);
		ck_assert_int_le(growth(&spliced), 500);
		splice_ranges(libdeflate_pack(image, level), image, edited, ranges, 3, false);
	}
}
END_TEST

/* More than is kept of a run. */
START_TEST(large_edits_are_handed_on_in_parts)
{
	struct bytes image = image_new(IMAGE_TEXT, 6 * MIB), edited = bytes_copy(image);
	const struct blockz_range range = { 1000, image.len - 500000 };
	rnd_fill(edited.data + range.start, range.end - range.start);
	struct splicing spliced = splice_ranges(zlib_pack(image, 6, Z_DEFAULT_STRATEGY), image, edited, &range, 1, false);
	ck_assert_uint_gt(spliced.replacements, 3);
}
END_TEST

/* ---- Lengths ---- */

START_TEST(small_edits_grow_the_file_little)
{
	struct bytes image = image_new(IMAGE_TEXT, 3 * MIB / 2);
	for (int level = 1; level <= 9; level += 4) {
		struct bytes file = zlib_pack(image, level, Z_DEFAULT_STRATEGY);
		for (int i = 0; i < 10; i++) {
			const struct kept *mark = kept_so_far();
			struct bytes edited = bytes_copy(image);
			struct blockz_range range = { rnd_below(image.len - 64), 0 };
			range.end = range.start + 64;
			rnd_fill(edited.data + range.start, 64);
			struct splicing spliced = splice_ranges(file, image, edited, &range, 1, false);
			ck_assert_int_le(growth(&spliced), 200);
			ck_assert_uint_le(spliced.replaced, 100000);
			forget_since(mark);
		}
	}
}
END_TEST

START_TEST(lengths_are_kept_where_there_is_room)
{
	struct bytes image = image_new(IMAGE_TEXT, 1 * MIB);
	struct bytes file = zlib_pack(image, 1, Z_DEFAULT_STRATEGY), tight = zlib_pack(image, 9, Z_DEFAULT_STRATEGY);
	unsigned left = 0;
	for (int i = 0; i < 12; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		uint64_t len = 1 + rnd_below(i % 2 ? 64 : 4096);
		struct blockz_range range = { i % 6 == 0 ? image.len - len : rnd_below(image.len - len), 0 };
		range.end = range.start + len;
		rnd_fill(edited.data + range.start, len);
		struct splicing spliced = splice_ranges(file, image, edited, &range, 1, true);
		ck_assert(spliced.done || i % 6 == 0); /* at the end there may be nothing left to gain from */
		left += !splice_ranges(tight, image, edited, &range, 1, true).done;
		forget_since(mark);
	}
	ck_assert_uint_gt(left, 5);
}
END_TEST

START_TEST(stored_blocks_stay)
{
	struct bytes image = image_new(IMAGE_NOISE, 500000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 0, Z_DEFAULT_STRATEGY);
	const struct blockz_range ranges[] = { { 0, 70000 }, { 300000, 300001 }, { 499990, 500000 } };
	for (int i = 0; i < 3; i++)
		complement(edited, ranges[i]);
	struct splicing spliced = splice_ranges(file, image, edited, ranges, 3, true);
	ck_assert(spliced.done);
	ck_assert_uint_lt(spliced.replaced, 70011 + 100);
}
END_TEST

/* ---- Filler: blocks of no text, which somebody else has put there ---- */

/* zlib's file with so many bytes of filler behind so much of the text: parts of five bytes. */
static struct bytes with_filler(struct bytes image, size_t at, const uint8_t part[5], size_t len)
{
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	zlib_put(file, image.data, at, Z_SYNC_FLUSH);
	size_t head = file->z.total_out;
	zlib_put(file, image.data + at, image.len - at, Z_NO_FLUSH);
	struct bytes packed = zlib_end(file), filler = bytes_new(len / 5 * 5);
	for (size_t i = 0; i < filler.len; i++)
		filler.data[i] = part[i % 5];
	return bytes_join(bytes_join((struct bytes){ packed.data, head }, filler),
			  (struct bytes){ packed.data + head, packed.len - head });
}

/* A run that has to be as long as the filler that it takes in would take that much memory. */
START_TEST(so_much_filler_is_taken_in)
{
	static const uint8_t stored[5] = { 0, 0, 0, 0xff, 0xff };
	struct bytes image = image_new(IMAGE_TEXT, 200000), edited = bytes_copy(image);
	const struct blockz_range range = { 99000, 99100 };
	rnd_fill(edited.data + range.start, range.end - range.start);
	struct bytes file = with_filler(image, 100000, stored, MIB), longer = with_filler(image, 100000, stored, 17 * MIB);
	ck_assert(splice_ranges(file, image, edited, &range, 1, true).done);
	ck_assert(!splice_ranges(longer, image, edited, &range, 1, true).done);
	ck_assert(splice_ranges(longer, image, edited, &range, 1, false).done);
}
END_TEST

/* Behind each block of it a run could end, if it were short enough. */
START_TEST(so_many_ends_are_tried)
{
	static const uint8_t four_fixed[5] = { 0x02, 0x08, 0x20, 0x80, 0 };
	struct bytes image = image_new(IMAGE_TEXT, 200000);
	struct bytes file = with_filler(image, 190000, four_fixed, 300000);
	for (int i = 0; i < 2; i++) {
		struct bytes edited = bytes_copy(image);
		const struct blockz_range range = { 50000, i == 0 ? 50500 : 150000 };
		rnd_fill(edited.data + range.start, range.end - range.start);
		ck_assert_int_eq(splice_ranges(file, image, edited, &range, 1, true).done, i == 0);
	}
}
END_TEST

/* ---- What goes wrong ---- */

START_TEST(errors_of_callbacks_are_passed_on)
{
	struct bytes image = image_new(IMAGE_DISK, 600000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	const struct blockz_range ranges[] = { { 100, 200 }, { 300000, 400000 }, { 599999, 600000 } };
	struct blockz_map *map = map_of(bytes_source(file), true);
	for (int i = 0; i < 3; i++)
		complement(edited, ranges[i]);
	unsigned calls = splice_ranges(file, image, edited, ranges, 3, false).calls;
	ck_assert_uint_ge(calls, 9);
	for (unsigned n = 1; n <= calls; n++) {
		struct splicing self = splicing_of(file, image, edited, map);
		struct blockz_fault fault = { .text = "" };
		self.fail_at = n;
		ck_assert_int_eq(splice_all(&self, map, ranges, 3, &fault), BLOCKZ_FAILED);
		ck_assert_uint_eq(fault.offset, 77);
		ck_assert_uint_eq(self.calls, n);
	}
	blockz_map_free(map);
}
END_TEST

START_TEST(reads_that_fail_are_reported)
{
	struct bytes image = image_new(IMAGE_TEXT, 600000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct blockz_range range = { 300000, 300100 };
	struct blockz_map *map = map_of(bytes_source(file), true);
	complement(edited, range);
	unsigned good = 0;
	for (unsigned n = 1; good == 0; n++) {
		struct flaky_source flaky = { .bytes = file, .fail_at = n };
		struct blockz_source source = flaky_source(&flaky);
		struct splicing self = splicing_of(file, image, edited, map);
		struct blockz_fault fault = { .text = "" };
		self.told = bytes_copy(image);
		struct piece_edit edit = {
			.file = &source, .map = map, .ranges = &range, .count = 1,
			.lay_over = lay_over, .replace = replace, .changed = changed, .ctx = &self,
		};
		enum blockz_status status = deflate_splice(&edit, &self.done, &fault);
		ck_assert(status == BLOCKZ_OK || (status == BLOCKZ_FAILED && fault.error == EIO));
		good += status == BLOCKZ_OK;
		ck_assert(n > 3 || good == 0);
	}
	blockz_map_free(map);
}
END_TEST

/* The map is of the whole file, and the bytes are no longer what was mapped. */
static enum blockz_status splice_damaged(struct bytes file, struct bytes image, const struct blockz_map *map,
					 struct blockz_range range)
{
	struct splicing self = { .file = file, .image = image, .edited = bytes_copy(image) };
	struct blockz_fault fault = { .text = "" };
	complement(self.edited, range);
	enum blockz_status status = splice_all(&self, map, &range, 1, &fault);
	ck_assert(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED);
	ck_assert(status == BLOCKZ_OK || (fault.status == status && fault.text[0] != 0));
	return status;
}

START_TEST(streams_that_end_early_or_late_are_damaged)
{
	struct bytes image = image_new(IMAGE_TEXT, 300000);
	const struct blockz_range last = { image.len - 1, image.len };
	struct bytes shorter = { image.data, image.len - 1 }, longer = bytes_join(image, image_new(IMAGE_TEXT, 1));
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct blockz_map *map = map_of(bytes_source(file), true);
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_OK);
	map->image_size--;
	ck_assert_int_eq(splice_damaged(file, shorter, map, (struct blockz_range){ 5, shorter.len }), BLOCKZ_DAMAGED);
	map->image_size += 2;
	ck_assert_int_eq(splice_damaged(file, longer, map, (struct blockz_range){ image.len, longer.len }), BLOCKZ_DAMAGED);
	map->image_size--;
	map->pieces[0].ends_stream = false;
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_DAMAGED);
	map->pieces[0].ends_stream = true;
	map->pieces[0].file_len++;
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_DAMAGED);
	map->pieces[0].file_len -= 2;
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_DAMAGED);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("deflate_splice");
	tcase_add_loop_test(tcase, files_by_zlib, 0, 5);
	tcase_add_test(tcase, files_by_libdeflate);
	tcase_add_test(tcase, files_of_short_blocks);
	tcase_add_test(tcase, files_of_several_members);
	tcase_add_test(tcase, small_files);
	tcase_add_test(tcase, copies_of_the_edit_keep_the_old_text);
	tcase_add_test(tcase, only_what_differs_counts);
	tcase_add_test(tcase, edits_at_the_edges_of_blocks);
	tcase_add_loop_test(tcase, long_blocks_are_divided, 0, 2);
	tcase_add_test(tcase, the_final_block_is_divided_more_than_once);
	tcase_add_test(tcase, zeros_without_end);
	tcase_add_test(tcase, large_edits_are_handed_on_in_parts);
	tcase_add_test(tcase, small_edits_grow_the_file_little);
	tcase_add_test(tcase, lengths_are_kept_where_there_is_room);
	tcase_add_test(tcase, stored_blocks_stay);
	tcase_add_test(tcase, so_much_filler_is_taken_in);
	tcase_add_test(tcase, so_many_ends_are_tried);
	tcase_add_test(tcase, errors_of_callbacks_are_passed_on);
	tcase_add_test(tcase, reads_that_fail_are_reported);
	tcase_add_test(tcase, streams_that_end_early_or_late_are_damaged);
	return case_run("deflate_splice", tcase);
}
