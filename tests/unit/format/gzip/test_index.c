/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Indexes of gzip files that lie, with a CRC that is right: verify finds out, and a patch that goes by one is refused, or
 * does what it would have done without.
 */
#include <libdeflate.h>
#include <string.h>

#include "base/bytes.h"
#include "foreign.h"
#include "format/gzip/layout.h"

/* ---- Helpers ---- */

static void append_piece(struct deflate_data *data, const void *bytes, size_t len)
{
	static const z_stream none;
	z_stream z = none;
	struct bytes out = bytes_new(len + len / 4 + 1000);
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)bytes;
	z.avail_in = (uInt)len;
	z.next_out = out.data;
	z.avail_out = (uInt)out.len;
	ck_assert_int_eq(deflate(&z, Z_FULL_FLUSH), Z_OK);
	deflate_append(data, out.data, z.total_out);
	deflateEnd(&z);
}

static void append_end(struct deflate_data *data)
{
	deflate_append(data, "\x03\x00", 2);
}

static enum blockz_status verified(struct bytes file, struct blockz_fault *fault)
{
	struct blockz_verify_result result;
	return verify_file(file, false, &result, fault);
}

static bool index_is_used(struct bytes file)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	bool used = blockz_map_info(map).index == BLOCKZ_INDEX_HEADER;
	blockz_map_free(map);
	return used;
}

/* ---- Built by hand ---- */

START_TEST(an_honest_index_is_believed)
{
	struct bytes image = image_new(IMAGE_TEXT, 5000), edited = bytes_copy(image);
	struct deflate_data data = { .room = 0 };
	append_piece(&data, image.data, 1000);
	size_t first = data.bytes.len;
	deflate_append_stored(&data, image.data + 1000, 3000, false);
	size_t second = data.bytes.len;
	append_piece(&data, image.data + 4000, 1000);
	size_t third = data.bytes.len;
	append_end(&data);
	const struct index_claim claims[] = {
		{ INDEX_SHORT, first, 1000 }, { INDEX_RAW, second - first, 3000 }, { INDEX_DATA, third - second, 0 },
	};
	uint32_t crc = (uint32_t)crc32_z(0, image.data + 1000, 3000);
	struct bytes file = gzip_indexed(data.bytes, image, claims, 3, &crc, 1);
	ck_assert(index_is_used(file));
	assert_decodes("gzip", file, image);
	assert_verifies(file);
	complement(edited, (struct blockz_range){ 1000, 4000 });
	patch_range(file, false, edited, (struct blockz_range){ 1000, 4000 });
	ck_assert(index_is_used(file));
	assert_decodes("gzip", file, edited);
	assert_verifies(file);
}
END_TEST

/*
 * The piece of 25 bytes that decodes only because something stands behind it.  Each piece decodes alone, and to bytes that
 * have the CRC in the trailer; but a decoder of the whole stream runs on into the next piece.
 */
START_TEST(a_piece_that_does_not_end_is_refused)
{
	struct bytes start, text = image_new(IMAGE_TEXT, 500);
	struct bytes piece = unterminated_piece(&start), image = bytes_join(start, text);
	struct deflate_data data = { .room = 0 };
	deflate_append(&data, piece.data, piece.len);
	append_piece(&data, text.data, text.len);
	const struct index_claim claims[] = {
		{ INDEX_SHORT, piece.len, start.len }, { INDEX_DATA, data.bytes.len - piece.len, 0 },
	};
	append_end(&data);

	/* With `03 00` it decodes indeed, which is what makes it dangerous. */
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	struct bytes alone = bytes_join(piece, (struct bytes){ (uint8_t[]){ 3, 0 }, 2 }), room = bytes_new(start.len);
	ck_assert_int_eq(libdeflate_deflate_decompress(decompressor, alone.data, alone.len, room.data, room.len, NULL),
			 LIBDEFLATE_SUCCESS);
	assert_bytes(room, start);
	libdeflate_free_decompressor(decompressor);

	struct bytes file = gzip_indexed(data.bytes, image, claims, 2, NULL, 0);
	struct blockz_fault fault;
	ck_assert(!judge_says("gzip", file, image));
	ck_assert(index_is_used(file));
	ck_assert_int_eq(verified(file, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_lt(fault.offset, file.len);
	struct blockz_map *map = NULL;
	struct blockz_source source = bytes_source(file);
	ck_assert_int_eq(blockz_map_read(&source, &(struct blockz_map_options){ .scan = true }, &map, NULL), BLOCKZ_DAMAGED);
}
END_TEST

/*
 * The same with a stored block that goes on behind the piece: whatever stored block of `probe` bytes a decoder may put
 * there to find the end, the piece swallows it, and its header is what the index says the image has there.
 */
START_TEST(a_piece_whose_stored_block_goes_on_is_refused)
{
	struct bytes start = image_new(IMAGE_TEXT, 300), text = image_new(IMAGE_TEXT, 500);
	for (unsigned probe = 0; probe <= 32; probe++) {
		unsigned len = 300 + 5 + probe;
		uint8_t header[] = { 1, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8) };
		struct bytes swallowed = { (uint8_t[]){ 1, (uint8_t)probe, 0, (uint8_t)~probe, 0xff }, 5 };
		struct bytes image = bytes_join(bytes_join(start, swallowed), text);
		struct deflate_data data = { .room = 0 };
		deflate_append(&data, header, 5);
		deflate_append(&data, start.data, start.len);
		append_piece(&data, text.data, text.len);
		const struct index_claim claims[] = {
			{ INDEX_SHORT, 305, 305 }, { INDEX_DATA, data.bytes.len - 305, 0 },
		};
		append_end(&data);
		struct bytes file = gzip_indexed(data.bytes, image, claims, 2, NULL, 0);
		ck_assert(index_is_used(file));
		ck_assert(!judge_says("gzip", file, image));
		ck_assert_int_eq(verified(file, NULL), BLOCKZ_DAMAGED);
	}
}
END_TEST

/* The same behind a raw range: a patch looks at what follows, and refuses. */
START_TEST(a_piece_that_does_not_end_behind_a_raw_range)
{
	struct bytes raw = image_new(IMAGE_TEXT, 5000), end, text = image_new(IMAGE_TEXT, 500);
	struct bytes piece = unterminated_piece(&end), image = bytes_join(bytes_join(raw, end), text);
	struct deflate_data data = { .room = 0 };
	deflate_append_stored(&data, raw.data, raw.len, false);
	deflate_append(&data, piece.data, piece.len);
	append_piece(&data, text.data, text.len);
	const struct index_claim claims[] = {
		{ INDEX_RAW, raw.len + 5, raw.len },
		{ INDEX_SHORT, piece.len, end.len },
		{ INDEX_DATA, data.bytes.len - piece.len - raw.len - 5, 0 },
	};
	append_end(&data);
	uint32_t crc = (uint32_t)crc32_z(0, raw.data, raw.len);
	struct bytes file = gzip_indexed(data.bytes, image, claims, 3, &crc, 1), before = bytes_copy(file);
	struct bytes edited = bytes_copy(image);
	struct blockz_fault fault;
	edited.data[17] ^= 1;
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, raw.len });
	ck_assert(index_is_used(file));
	ck_assert_int_eq(verified(file, &fault), BLOCKZ_DAMAGED);
	ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_DAMAGED);
	assert_bytes(file, before);
}
END_TEST

/* Stored blocks that a later match copies from, called a raw range: a patch would change what follows. */
START_TEST(a_raw_range_that_is_referred_to)
{
	struct bytes noise = image_new(IMAGE_NOISE, 8000), image = bytes_join(noise, noise), edited = bytes_copy(image);
	struct zlib_file *zlib = zlib_begin(0, Z_DEFAULT_STRATEGY, image.len);
	zlib_put(zlib, noise.data, noise.len, Z_SYNC_FLUSH);
	size_t first = zlib->z.total_out - 10;
	zlib_level(zlib, 9);
	zlib_put(zlib, noise.data, noise.len, Z_FULL_FLUSH);
	size_t second = zlib->z.total_out - 10;
	struct bytes plain = zlib_end(zlib);
	ck_assert_uint_lt(plain.len, 8200); /* the second half is matches */
	/* zlib's flush mark is part of what comes behind. */
	struct deflate_data data = { .room = 0 };
	deflate_append(&data, plain.data + 10, second);
	append_end(&data);
	const struct index_claim claims[] = {
		{ INDEX_RAW, noise.len + 5, noise.len }, { INDEX_DATA, second - noise.len - 5, 0 },
	};
	ck_assert_uint_gt(first, noise.len + 5);
	uint32_t crc = (uint32_t)crc32_z(0, noise.data, noise.len);
	struct bytes file = gzip_indexed(data.bytes, image, claims, 2, &crc, 1), before = bytes_copy(file);
	struct blockz_fault fault;
	assert_decodes("gzip", file, image);
	ck_assert(index_is_used(file));
	ck_assert_int_eq(verified(file, &fault), BLOCKZ_DAMAGED);
	complement(edited, (struct blockz_range){ 0, noise.len });
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, noise.len });
	ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_DAMAGED);
	ck_assert_int_eq(patch_file(file, true, &edit, 1, NULL, &fault), BLOCKZ_UNSUPPORTED);
	assert_bytes(file, before);
}
END_TEST

/* ---- Pieces that only lenient decoders take ---- */

struct bits {
	uint8_t bytes[200];
	size_t count;
};

static void put_bits(struct bits *bits, unsigned value, unsigned n)
{
	for (unsigned i = 0; i < n; i++, bits->count++)
		bits->bytes[bits->count / 8] |= (uint8_t)((value >> i & 1) << bits->count % 8);
}

/* Code lengths: all those below are codes of 2 bits, which have their first bit highest. */
enum { PUT_0 = 0, PUT_1 = 2, PUT_17 = 1, PUT_18 = 3 };

static void put_zero_lengths(struct bits *bits, unsigned count)
{
	put_bits(bits, PUT_18, 2);
	put_bits(bits, count - 11, 7);
}

/* A dynamic block of 100 times 'a', and a flush mark; which: what is wrong with its header. */
enum header { HEADER_GOOD, HEADER_REPEAT_TOO_LONG, HEADER_TOO_MANY_LENGTHS, HEADER_TOO_MANY_DISTANCES };

static void put_dynamic_piece(struct bits *bits, enum header which)
{
	bool lengths = which == HEADER_TOO_MANY_LENGTHS, distances = which == HEADER_TOO_MANY_DISTANCES;
	put_bits(bits, 4, 3);
	put_bits(bits, lengths ? 287 - 257 : 0, 5);
	put_bits(bits, distances ? 31 - 1 : 0, 5);
	put_bits(bits, 18 - 4, 4);
	for (unsigned i = 0; i < 18; i++) /* 16, 17, 18, 0, eleven more, and 14, 1 */
		put_bits(bits, i == 1 || i == 2 || i == 3 || i == 17 ? 2 : 0, 3);
	put_zero_lengths(bits, 'a');
	put_bits(bits, PUT_1, 2);
	put_zero_lengths(bits, 138);
	put_zero_lengths(bits, 256 - 'b' - 138);
	put_bits(bits, PUT_1, 2);
	if (lengths)
		put_zero_lengths(bits, 30);
	if (distances)
		put_zero_lengths(bits, 31);
	else
		put_bits(bits, which == HEADER_REPEAT_TOO_LONG ? PUT_17 : PUT_0, which == HEADER_REPEAT_TOO_LONG ? 5 : 2);
	for (unsigned i = 0; i < 100; i++)
		put_bits(bits, 0, 1);
	put_bits(bits, 1, 1); /* end of block */
	put_bits(bits, 0, 3);
	bits->count = (bits->count + 7) / 8 * 8;
	put_bits(bits, 0xffff0000, 32);
}

START_TEST(pieces_that_only_lenient_decoders_take_are_refused)
{
	struct bytes image = bytes_new(100);
	memset(image.data, 'a', image.len);
	for (enum header which = HEADER_GOOD; which <= HEADER_TOO_MANY_DISTANCES; which++) {
		struct bits bits = { .count = 0 };
		put_dynamic_piece(&bits, which);
		struct deflate_data data = { .room = 0 };
		deflate_append(&data, bits.bytes, bits.count / 8);
		append_end(&data);
		const struct index_claim claim = { INDEX_DATA, bits.count / 8, 0 };
		struct bytes file = gzip_indexed(data.bytes, image, &claim, 1, NULL, 0);
		ck_assert(index_is_used(file));
		ck_assert_int_eq(judge_says("gzip", file, image), which == HEADER_GOOD);
		ck_assert_int_eq(verified(file, NULL), which == HEADER_GOOD ? BLOCKZ_OK : BLOCKZ_DAMAGED);
	}
}
END_TEST

/* Huffman codes have their first bit highest. */
static void put_code(struct bits *bits, unsigned code, unsigned n)
{
	while (n-- > 0)
		put_bits(bits, code >> n & 1, 1);
}

/* A length symbol of 8 bits without extra bits, and a distance. */
static void put_match(struct bits *bits, unsigned length, unsigned dist)
{
	put_code(bits, 0xc0 + length - 280, 8);
	put_code(bits, dist, 5);
}

/*
 * Symbols that no stream may have, which libdeflate takes: length 286 and 287 for 258 bytes, distances 30 and 31 for what
 * 29 stands for.  An index leads to them without a walk of the stream.
 */
START_TEST(symbols_that_do_not_exist)
{
	static const unsigned bad[][2] = { { 285, 0 }, { 286, 0 }, { 287, 0 }, { 285, 30 }, { 285, 31 } };
	struct bits bits = { .count = 0 };
	size_t image_len = 1;
	put_bits(&bits, 2, 3); /* BFINAL 0, fixed codes */
	put_code(&bits, 0x30 + 'a', 8);
	for (; image_len < 24577; image_len += 258)
		put_match(&bits, 285, 0);
	put_match(&bits, bad[_i][0], bad[_i][1]);
	put_bits(&bits, 0, bad[_i][1] >= 30 ? 13 : 0);
	image_len += 258;
	put_bits(&bits, 0, 7 + 3); /* the end, and an empty stored block */
	struct deflate_data data = { .room = 0 };
	deflate_append(&data, bits.bytes, (bits.count + 7) / 8);
	deflate_append(&data, "\0\0\xff\xff", 4);
	const struct index_claim claim = { INDEX_DATA, data.bytes.len, 0 };
	struct bytes image = bytes_new(image_len), room = bytes_new(image_len);
	memset(image.data, 'a', image_len);
	append_end(&data);

	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	ck_assert_int_eq(libdeflate_deflate_decompress(decompressor, data.bytes.data, data.bytes.len, room.data, room.len,
						       NULL), LIBDEFLATE_SUCCESS);
	assert_bytes(room, image);
	libdeflate_free_decompressor(decompressor);

	struct bytes file = gzip_indexed(data.bytes, image, &claim, 1, NULL, 0);
	struct blockz_fault fault;
	ck_assert(judge_says("gzip", file, image) == (_i == 0));
	ck_assert(index_is_used(file));
	ck_assert_int_eq(verified(file, &fault), _i == 0 ? BLOCKZ_OK : BLOCKZ_DAMAGED);
}
END_TEST

/* ---- Each bit of a good one ---- */

static struct bytes read_all(struct bytes file, bool *ok_ret)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	struct growing_sink sink = { .calls = 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_work work = { .threads = 1 };
	struct blockz_range all = { 0, blockz_map_info(map).image_size };
	*ok_ret = blockz_extract(&source, map, all, &out, &work, NULL) == BLOCKZ_OK;
	blockz_map_free(map);
	return sink.bytes;
}

/* A lie that verify does not find is none: the image and the raw ranges are what they are. */
static bool check_lie(struct bytes file, struct bytes image, const struct blockz_range *raw)
{
	struct blockz_fault fault;
	enum blockz_status status = verified(file, &fault);
	struct bytes edited = bytes_copy(image), patched = bytes_copy(file);
	if (status == BLOCKZ_OK) {
		bool ok;
		assert_bytes(read_all(file, &ok), image);
		ck_assert(ok);
	} else {
		ck_assert_int_eq(status, BLOCKZ_DAMAGED);
	}
	complement(edited, *raw);
	struct blockz_edit edit = edit_from(edited, *raw);
	if (patch_file(patched, false, &edit, 1, NULL, &fault) == BLOCKZ_OK)
		ck_assert(judge_says("gzip", patched, edited));
	else
		assert_bytes(patched, file);
	return status == BLOCKZ_OK;
}

START_TEST(every_bit_of_an_index)
{
	const struct blockz_range raw[] = { { 10000, 14100 }, { 70000, 70010 } };
	struct bytes text = image_new(IMAGE_TEXT, 80000);
	struct bytes image = bytes_join(bytes_join(text, image_new(IMAGE_ZEROS, 200000)), image_new(IMAGE_TEXT, 1000));
	struct blockz_pack_options options = { .piece_size = 65536, .raw = raw, .raw_count = 2 };
	struct bytes file = pack_image(format_of(0), image, options, NULL), index = index_of(file);
	unsigned good = 0;
	for (size_t bit = 0; bit < 8 * (index.len - 4); bit += few_rounds ? 3 : 1) {
		index.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		index_reseal(file);
		good += check_lie(file, image, &raw[bit % 2]);
		index.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	index_reseal(file);
	assert_verifies(file);
	/* Versions and flags from the future, which encoder and level it was, and raw ranges that are called compressed. */
	ck_assert_uint_le(good, 4 * 8 + 2);
}
END_TEST

/* ---- Lies that add up ---- */

static void assert_lie(struct bytes file, struct bytes image, struct blockz_range raw)
{
	ck_assert(index_is_used(file));
	ck_assert(!check_lie(file, image, &raw));
}

START_TEST(lies_that_add_up)
{
	struct bytes image = bytes_join(image_new(IMAGE_TEXT, 70000), image_new(IMAGE_TEXT, 70000));
	struct blockz_range raw = { 65536, 70000 };
	struct deflate_data data = { .room = 0 };
	append_piece(&data, image.data, 65536);
	size_t first = data.bytes.len;
	deflate_append_stored(&data, image.data + raw.start, 4464, false);
	append_piece(&data, image.data + 70000, 131072 - 70000);
	size_t third = data.bytes.len - first - 4469;
	append_piece(&data, image.data + 131072, image.len - 131072);
	size_t fourth = data.bytes.len - first - 4469 - third;
	append_end(&data);
	const struct index_claim honest[] = {
		{ INDEX_DATA, first, 0 }, { INDEX_RAW, 4469, 4464 }, { INDEX_DATA, third, 0 }, { INDEX_DATA, fourth, 0 },
	};
	uint32_t crc = (uint32_t)crc32_z(0, image.data + raw.start, 4464), wrong = ~crc;
	assert_verifies(gzip_indexed(data.bytes, image, honest, 4, &crc, 1));

	/* The wrong CRC of a raw piece: verify and patch see it. */
	struct bytes file = gzip_indexed(data.bytes, image, honest, 4, &wrong, 1), edited = bytes_copy(image);
	assert_lie(file, image, raw);
	complement(edited, raw);
	struct blockz_edit edit = edit_from(edited, raw);
	struct blockz_fault fault;
	ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_DAMAGED);

	for (size_t shift = 1; shift <= 64; shift++) {
		/* An edge of two pieces moved, in the file and in the image. */
		struct index_claim claims[4];
		memcpy(claims, honest, sizeof(claims));
		claims[2].file_len -= shift;
		claims[3].file_len += shift;
		if (shift == 5) /* the flush mark may as well begin the next piece */
			check_lie(gzip_indexed(data.bytes, image, claims, 4, &crc, 1), image, &raw);
		else
			assert_lie(gzip_indexed(data.bytes, image, claims, 4, &crc, 1), image, raw);
		/* The raw range moved. */
		memcpy(claims, honest, sizeof(claims));
		claims[0].file_len -= shift;
		claims[2].file_len += shift;
		assert_lie(gzip_indexed(data.bytes, image, claims, 4, &crc, 1), image, raw);
		/* The raw range shorter. */
		memcpy(claims, honest, sizeof(claims));
		claims[1].file_len -= shift;
		claims[1].image_len -= shift;
		claims[2].file_len += shift;
		assert_lie(gzip_indexed(data.bytes, image, claims, 4, &crc, 1), image, raw);
	}
	/* Something between the last piece and the end, of which the index says nothing. */
	struct deflate_data more = { .room = 0 };
	deflate_append(&more, data.bytes.data, data.bytes.len - 2);
	deflate_append_stored(&more, "more", 4, false);
	append_end(&more);
	ck_assert_int_eq(verified(gzip_indexed(more.bytes, image, honest, 4, &crc, 1), &fault), BLOCKZ_DAMAGED);
	/* Zeros that are none. */
	const struct index_claim zeros[] = {
		{ INDEX_ZERO, first, 1 }, { INDEX_RAW, 4469, 4464 }, { INDEX_DATA, third, 0 }, { INDEX_DATA, fourth, 0 },
	};
	file = gzip_indexed(data.bytes, image, zeros, 4, &crc, 1);
	assert_lie(file, image, raw);
	bool ok;
	read_all(file, &ok);
	ck_assert(!ok);
}
END_TEST

/* ---- Subfields of others */

/* A file of stored blocks by zlib, with this in a subfield of the name that an index has. */
static struct bytes with_subfield(struct bytes image, struct bytes content)
{
	struct zlib_file *file = zlib_begin(0, Z_DEFAULT_STRATEGY, image.len + content.len);
	struct bytes extra = bytes_new(GZIP_SUBFIELD_LEN + content.len);
	gz_header header = { .extra = extra.data, .extra_len = (uInt)extra.len, .os = 255 };
	memcpy(extra.data, "BZ", 2);
	extra.data[2] = (uint8_t)content.len;
	extra.data[3] = (uint8_t)(content.len >> 8);
	memcpy(extra.data + GZIP_SUBFIELD_LEN, content.data, content.len);
	ck_assert_int_eq(deflateSetHeader(&file->z, &header), Z_OK);
	zlib_put(file, image.data, image.len, Z_NO_FLUSH);
	return zlib_end(file);
}

START_TEST(a_subfield_of_others_is_no_index)
{
	static const size_t lengths[] = { 0, 1, 28, INDEX_LEN_MIN - 1, INDEX_LEN_MIN, 600, INDEX_LEN_MAX, INDEX_LEN_MAX + 1, 60000 };
	struct bytes image = image_new(IMAGE_TEXT, 20000), edited = bytes_copy(image);
	complement(edited, (struct blockz_range){ 5000, 9000 });
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (int kind = 0; kind < IMAGE_DISK; kind++) {
			struct bytes content = image_new((enum image_kind)kind, lengths[i]), empty = { NULL, 0 };
			if (content.len > 0 && kind == IMAGE_NOISE)
				content.data[INDEX_VERSION_OFF] = INDEX_VERSION_PIECES;
			struct bytes file = with_subfield(image, content);
			assert_reads(format_named("gzip"), file, image);
			ck_assert(!index_is_used(file));
			for (int scan = 0; scan < 2; scan++)
				patch_range(file, scan, edited, (struct blockz_range){ 5000, 9000 });
			assert_reads(format_named("gzip"), file, edited);
			ck_assert_mem_eq(index_of(file).data, content.data, content.len);
			assert_reads(format_named("gzip"), with_subfield(empty, content), empty);
		}
	}
}
END_TEST

/* An index of our own in a header whose CRC-16 covers it: what would follow an edit in it would make that wrong. */
START_TEST(an_index_in_a_header_with_a_crc_is_none)
{
	struct blockz_range raw = { 70000, 80000 };
	struct blockz_pack_options options = { .piece_size = 65536, .raw = &raw, .raw_count = 1 };
	struct bytes image = image_new(IMAGE_TEXT, 200000), edited = bytes_copy(image);
	struct bytes file = pack_image(format_named("gzip"), image, options, NULL), index = index_of(file);
	size_t head_len = (size_t)(index.data - file.data) + index.len;
	struct bytes head = { file.data, head_len }, body = { file.data + head_len, file.len - head_len };
	store_le64(index.data + INDEX_FILE_SIZE_OFF, file.len + 2);
	index_reseal(file);
	file = bytes_join(bytes_join(head, bytes_new(2)), body);
	file.data[3] |= GZIP_FHCRC;
	store_le16(file.data + head_len, (uint16_t)crc32_z(0, file.data, head_len));
	ck_assert(!index_is_used(file));
	complement(edited, raw);
	for (int scan = 0; scan < 2; scan++)
		patch_range(file, scan, edited, raw);
	assert_reads(format_named("gzip"), file, edited);
}
END_TEST

/* Damaged so that nothing tells it from one of others; should the damage be undone, it is not taken for the truth. */
START_TEST(an_index_that_was_passed_over_is_never_believed_again)
{
	struct blockz_range raw = { 70000, 80000 };
	struct blockz_pack_options options = { .piece_size = 65536, .raw = &raw, .raw_count = 1 };
	struct bytes image = image_new(IMAGE_TEXT, 200000), edited = bytes_copy(image);
	struct bytes file = pack_image(format_named("gzip"), image, options, NULL), index = index_of(file);
	complement(edited, raw);
	ck_assert(index_is_used(file));
	index.data[INDEX_FILE_SIZE_OFF] ^= 1;
	ck_assert_int_eq(verified(file, NULL), BLOCKZ_DAMAGED);
	index.data[INDEX_TRAILER_OFF] ^= 1;
	assert_reads(format_named("gzip"), file, image);
	patch_range(file, false, edited, raw);
	assert_reads(format_named("gzip"), file, edited);
	index.data[INDEX_FILE_SIZE_OFF] ^= 1;
	index.data[INDEX_TRAILER_OFF] ^= 1;
	ck_assert(!index_is_used(file));
	ck_assert_int_eq(verified(file, NULL), BLOCKZ_DAMAGED);
}
END_TEST

int main(void)
{
	TCase *c = case_new("index");
	tcase_add_test(c, an_honest_index_is_believed);
	tcase_add_test(c, a_piece_that_does_not_end_is_refused);
	tcase_add_test(c, a_piece_whose_stored_block_goes_on_is_refused);
	tcase_add_test(c, a_piece_that_does_not_end_behind_a_raw_range);
	tcase_add_test(c, a_raw_range_that_is_referred_to);
	tcase_add_test(c, pieces_that_only_lenient_decoders_take_are_refused);
	tcase_add_loop_test(c, symbols_that_do_not_exist, 0, 5);
	tcase_add_test(c, every_bit_of_an_index);
	tcase_add_test(c, lies_that_add_up);
	tcase_add_test(c, a_subfield_of_others_is_no_index);
	tcase_add_test(c, an_index_in_a_header_with_a_crc_is_none);
	tcase_add_test(c, an_index_that_was_passed_over_is_never_believed_again);
	return case_run("index", c);
}
