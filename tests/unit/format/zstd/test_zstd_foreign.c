/* SPDX-License-Identifier: BSD-3-Clause */
/* .zst that others write: read to the same bytes, and raw blocks changed exactly where nothing refers to them. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "blockz_disk.h"
#include "foreign_zst.h"
#include "judge.h"
#include "stores.h"

enum { BLOCK = 131072 };

/* ---- What all files have to pass ---- */

/* Turns over all that the map calls patchable, and nothing else changes; returns how many bytes that are. */
static uint64_t patch_all(struct bytes file, struct bytes image, bool scan)
{
	struct bytes edited = bytes_copy(image), patched = bytes_copy(file);
	struct blockz_map *map = map_of(bytes_source(file), scan);
	struct blockz_map_range range;
	uint64_t sum = 0;
	for (uint64_t pos = 0; pos < image.len; pos = range.end) {
		ck_assert(blockz_map_range_at(map, pos, &range));
		struct blockz_range edit = { range.start, range.end };
		if (range.kind == BLOCKZ_RAW && range.patchable) {
			complement(edited, edit);
			patch_range(patched, scan, edited, edit);
			sum += range.end - range.start;
		}
	}
	blockz_map_free(map);
	assert_reads(format_named("zstd"), patched, edited);
	return sum;
}

static void assert_damaged(struct bytes file)
{
	struct blockz_verify_result result;
	ck_assert_int_eq(verify_file(file, false, &result, NULL), BLOCKZ_DAMAGED);
}

/* ---- By libzstd ---- */

START_TEST(parameters)
{
	static const struct zst_parameter sets[][2] = {
		{ { ZSTD_c_compressionLevel, 1 }, { ZSTD_c_checksumFlag, 0 } },
		{ { ZSTD_c_compressionLevel, 3 }, { ZSTD_c_checksumFlag, 1 } },
		{ { ZSTD_c_compressionLevel, 19 }, { ZSTD_c_checksumFlag, 1 } },
		{ { ZSTD_c_enableLongDistanceMatching, 1 }, { ZSTD_c_checksumFlag, 1 } },
		{ { ZSTD_c_windowLog, 10 }, { ZSTD_c_checksumFlag, 1 } },
		{ { ZSTD_c_windowLog, 17 }, { ZSTD_c_checksumFlag, 0 } },
		{ { ZSTD_c_contentSizeFlag, 0 }, { ZSTD_c_checksumFlag, 1 } },
	};
	for (int sized = 0; sized < 2; sized++) {
		for (int kind = 0; kind < IMAGE_KINDS; kind++) {
			struct bytes image = image_new((enum image_kind)kind, 3 * BLOCK + 1000);
			struct bytes file = zst_compress(image, sized, sets[_i], 2);
			assert_reads(format_named("zstd"), file, image);
			uint64_t patchable = patch_all(file, image, false);
			/* Noise is stored raw, all of it. */
			ck_assert_uint_eq(patchable, kind == IMAGE_NOISE ? image.len : kind == IMAGE_DISK ? patchable : 0);
		}
	}
}
END_TEST

/* Several frames, with others between them that decoders pass over. */
START_TEST(frames_and_skippable_frames)
{
	for (int round = 0; round < 20; round++) {
		struct zst_file file = { .room = 0 };
		struct bytes image = bytes_new(0);
		if (round % 2)
			zst_put_skippable(&file, round % 16, round);
		for (int i = 0; i < 8; i++) {
			const struct zst_parameter checksum = { ZSTD_c_checksumFlag, (int)rnd_below(2) };
			size_t len = (size_t)rnd_below(20000) / (i % 3 + 1);
			struct bytes part = image_new((enum image_kind)rnd_below(IMAGE_KINDS), len);
			if (rnd() % 4 == 0)
				part.len = 0;
			struct bytes frame = zst_compress(part, rnd() % 2, &checksum, 1);
			zst_put(&file, frame.data, frame.len);
			if (rnd() % 2)
				zst_put_skippable(&file, (int)rnd_below(16), (size_t)rnd_below(300));
			image = bytes_join(image, part);
		}
		assert_reads(format_named("zstd"), file.bytes, image);
		patch_all(file.bytes, image, false);
	}
}
END_TEST

START_TEST(what_is_not_supported)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000);
	struct blockz_verify_result result;
	struct blockz_fault fault;
	/* A dictionary's number, first and in a later frame; number 0 is none. */
	struct zst_file file = { .room = 0 };
	for (int i = 0; i < 2; i++) {
		struct bytes frame = zst_compress(image, true, NULL, 0), with = bytes_new(frame.len + 1);
		ck_assert_uint_eq(frame.data[4] & 0x23, 0x20);
		memcpy(with.data, frame.data, 5);
		memcpy(with.data + 6, frame.data + 5, frame.len - 5);
		with.data[4] |= 1;
		assert_reads(format_named("zstd"), with, image);
		with.data[5] = 7;
		uint64_t off = file.bytes.len;
		zst_put(&file, with.data, with.len);
		for (int quick = 0; quick < 2; quick++)
			ck_assert_int_eq(verify_file(file.bytes, quick, &result, &fault), BLOCKZ_UNSUPPORTED);
		ck_assert_uint_eq(fault.offset, off + 5);
		file.bytes.len = off;
		zst_put(&file, frame.data, frame.len);
	}
	/* Frames of the old formats. */
	struct bytes old = zst_compress(image, true, NULL, 0);
	struct bytes both = bytes_join(old, old);
	both.data[old.len] = 0x27;
	ck_assert_int_ne(verify_file(both, false, &result, &fault), BLOCKZ_OK);
	ck_assert_uint_eq(fault.offset, old.len);
}
END_TEST

/* A window matters where a frame is decoded in parts. */
START_TEST(large_windows)
{
	enum { LEN = 40 * MIB };
	struct bytes image = bytes_new(LEN);
	for (int over = 0; over < 2; over++) {
		struct zst_file file = { .room = 0 };
		zst_put_header(&file, ZST_SIZE_4, 17 << 3 | over, LEN);
		memset(image.data, 'w', LEN);
		for (size_t pos = 0; pos < LEN; pos += BLOCK)
			zst_put_block(&file, pos + BLOCK == LEN, ZST_RLE, BLOCK, "w");
		struct blockz_source source = bytes_source(file.bytes);
		struct blockz_verify_result result;
		struct blockz_verify_options options = { .against = NULL, .work.threads = 1 };
		ck_assert_int_eq(blockz_verify(&source, &options, &result, NULL), over ? BLOCKZ_LIMIT : BLOCKZ_OK);
		options.window_max = (128 + 16 * (uint64_t)over) * MIB;
		ck_assert_int_eq(blockz_verify(&source, &options, &result, NULL), BLOCKZ_OK);
		options.window_max--;
		ck_assert_int_eq(blockz_verify(&source, &options, &result, NULL), BLOCKZ_LIMIT);
	}
}
END_TEST

/* More than zstd -t allows is not good, even where a reader needs no window. */
START_TEST(large_windows_of_small_frames)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000), found;
	struct blockz_verify_result result;
	for (int over = 0; over < 2; over++) {
		for (size_t len = 0; len < 2000; len += 1000) {
			struct zst_file file = { .room = 0 };
			struct bytes room = bytes_new(1000), content = { image.data, len };
			zst_put_raw_frame(&file, content, BLOCK, ZST_SIZE_4, 17 << 3 | over);
			ck_assert_int_eq(judge("zstd", file.bytes, room, &room.len), !over);
			ck_assert_int_eq(verify_file(file.bytes, false, &result, NULL), over ? BLOCKZ_LIMIT : BLOCKZ_OK);
			ck_assert(extracts(file.bytes, false, &found) || len == 0);
		}
	}
}
END_TEST

/* ---- Blocks of all types ---- */

struct mixed {
	struct zst_file file;
	struct bytes image;
};

static struct blockz_range put_raw(struct mixed *mixed, size_t len, bool last)
{
	struct bytes part = image_new(IMAGE_NOISE, len);
	struct blockz_range range = { mixed->image.len, mixed->image.len + len };
	zst_put_block(&mixed->file, last, ZST_RAW, len, part.data);
	mixed->image = bytes_join(mixed->image, part);
	return range;
}

static void put_rle(struct mixed *mixed, size_t len, bool last)
{
	struct bytes part = bytes_new(len);
	memset(part.data, 0xa5, len);
	zst_put_block(&mixed->file, last, ZST_RLE, len, part.data);
	mixed->image = bytes_join(mixed->image, part);
}

/* A compressed block that libzstd makes alone, and the text it stands for. */
static void put_compressed(struct mixed *mixed, size_t len, bool last)
{
	struct bytes part = image_new(IMAGE_TEXT, len), frame = zst_compress(part, true, NULL, 0);
	size_t head = 5 + (frame.data[4] >> 6 == 0 ? 1 : (size_t)1 << (frame.data[4] >> 6)) + !(frame.data[4] & ZST_SINGLE);
	ck_assert_uint_eq(frame.data[head] & 7, 5); /* last, compressed */
	zst_put_block(&mixed->file, last, ZST_COMPRESSED, frame.len - head - 3, frame.data + head + 3);
	mixed->image = bytes_join(mixed->image, part);
}

static struct blockz_map_range range_at(struct bytes file, uint64_t off)
{
	struct blockz_map *map = map_of(bytes_source(file), true);
	struct blockz_map_range range;
	ck_assert(blockz_map_range_at(map, off, &range));
	blockz_map_free(map);
	return range;
}

/* _i: whether the frame has a content size, whether it has a checksum. */
START_TEST(raw_blocks_between_others)
{
	struct mixed mixed = { .image = bytes_new(0) };
	zst_put_skippable(&mixed.file, 3, 10);
	size_t header = mixed.file.bytes.len;
	zst_put_header(&mixed.file, (_i & 1 ? ZST_SIZE_8 : 0) | (_i & 2 ? ZST_CHECKSUM : 0), 10 << 3, 0);
	struct blockz_range a = put_raw(&mixed, 10000, false);
	put_compressed(&mixed, 5000, false);
	struct blockz_range b = put_raw(&mixed, 5000, false);
	put_compressed(&mixed, 60000, false);
	struct blockz_range c = put_raw(&mixed, 4096, false);
	put_raw(&mixed, 0, false);
	struct blockz_range d = put_raw(&mixed, 9000, false);
	put_rle(&mixed, 70000, false);
	put_raw(&mixed, 4000, false); /* too short */
	put_rle(&mixed, 1, false);
	put_raw(&mixed, 4000, false); /* together long enough */
	struct blockz_range e = put_raw(&mixed, 96, true);
	if (_i & 1)
		store_le64(mixed.file.bytes.data + header + 6, mixed.image.len);
	if (_i & 2)
		zst_put_checksum(&mixed.file, mixed.image);
	struct bytes file = mixed.file.bytes;
	assert_reads(format_named("zstd"), file, mixed.image);
	ck_assert(!range_at(file, a.start).patchable);
	ck_assert(!range_at(file, b.start).patchable);
	ck_assert_uint_eq(range_at(file, c.start).start, c.start);
	ck_assert_uint_eq(range_at(file, c.start).end, d.end);
	ck_assert_uint_eq(range_at(file, e.start).start, e.end - 4096);
	for (int scan = 0; scan < 2; scan++)
		ck_assert_uint_eq(patch_all(file, mixed.image, scan), 4096 + 9000 + 4096);
}
END_TEST

/* Blocks of any size and type, against a model: patchable are runs of raw blocks behind the last compressed one. */
START_TEST(random_blocks)
{
	for (int round = 0; round < (few_rounds ? 20 : 100); round++) {
		struct mixed mixed = { .image = bytes_new(0) };
		uint64_t expected = 0;
		for (int frame = 0; frame < 3; frame++) {
			struct bytes before = mixed.image;
			size_t blocks = 1 + (size_t)rnd_below(8);
			uint64_t run = 0, tail = 0;
			zst_put_header(&mixed.file, ZST_CHECKSUM, 10 << 3, 0);
			for (size_t i = 1; i <= blocks; i++) {
				uint64_t kind = rnd_below(10);
				size_t len = (size_t)rnd_below(kind % 2 ? BLOCK + 1 : 3000);
				if (kind > 2) {
					put_raw(&mixed, len, i == blocks);
					run += len;
					continue;
				}
				tail += run >= 4096 ? run : 0;
				run = 0;
				if (kind == 0)
					tail = 0;
				if (kind == 0)
					put_compressed(&mixed, 500 + len / 2, i == blocks);
				else
					put_rle(&mixed, len, i == blocks);
			}
			expected += tail + (run >= 4096 ? run : 0);
			struct bytes content = { mixed.image.data + before.len, mixed.image.len - before.len };
			zst_put_checksum(&mixed.file, content);
		}
		assert_reads(format_named("zstd"), mixed.file.bytes, mixed.image);
		ck_assert_uint_eq(patch_all(mixed.file.bytes, mixed.image, round % 2), expected);
	}
}
END_TEST

/* ---- Frames that look like those of blockz, and are not ---- */

START_TEST(headers_that_are_nearly_ours)
{
	struct bytes image = image_new(IMAGE_NOISE, 5000);
	enum { SIZE = 5000 - 256 };
	const uint8_t dictionary_0[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x40 | 2, 0x38, 0, 0, SIZE & 0xff, SIZE >> 8 };
	struct zst_file unused = { .room = 0 }, dictionary = { .room = 0 };
	zst_put_raw_frame(&unused, image, BLOCK, ZST_SIZE_4 | 0x10, 0x38);
	zst_put(&dictionary, dictionary_0, sizeof(dictionary_0));
	zst_put_block(&dictionary, true, ZST_RAW, image.len, image.data);
	const struct bytes files[] = { unused.bytes, dictionary.bytes };
	for (size_t i = 0; i < 2; i++) {
		assert_reads(format_named("zstd"), files[i], image);
		ck_assert_uint_eq(patch_all(files[i], image, false), image.len);
		/* With a table too. */
		struct zst_file indexed = { .room = 0 };
		const struct seek_entry entry = { (uint32_t)files[i].len, 5000, 0 };
		zst_put(&indexed, files[i].data, files[i].len);
		zst_put_table(&indexed, &entry, 1, false);
		assert_reads(format_named("zstd"), indexed.bytes, image);
		ck_assert_uint_eq(patch_all(indexed.bytes, image, true), image.len);
	}
}
END_TEST

/* Blocks larger than the window allows, and matches from further back than it reaches: not every decoder takes them. */
START_TEST(windows_that_are_too_small)
{
	const struct zst_parameter wide[] = { { ZSTD_c_windowLog, 20 }, { ZSTD_c_checksumFlag, 1 } };
	struct bytes noise = image_new(IMAGE_NOISE, 700000), far = bytes_join(noise, noise);
	struct bytes image = image_new(IMAGE_NOISE, BLOCK);
	struct zst_file files[4] = { { .room = 0 } };
	zst_put_raw_frame(&files[0], image, BLOCK, ZST_SIZE_4, 6 << 3); /* 64 KiB */
	zst_put_header(&files[1], ZST_SIZE_4, 0, BLOCK);                /* 1 KiB */
	zst_put_block(&files[1], true, ZST_RLE, BLOCK, "z");
	struct bytes compressed = zst_compress(far, true, wide, 2);
	ck_assert_uint_eq(compressed.data[5], 10 << 3);
	compressed.data[5] = 7 << 3;
	zst_put(&files[2], compressed.data, compressed.len);
	for (int i = 0; i < 3; i++) {
		struct seek_entry entry = { (uint32_t)files[i].bytes.len, i == 2 ? 1400000 : BLOCK, 0 };
		struct bytes room = bytes_new(2 * MIB);
		if (i != 1) /* libzstd looks at what such a block takes in the file */
			ck_assert(!judge("zstd", files[i].bytes, room, &room.len));
		assert_damaged(files[i].bytes);
		zst_put_table(&files[i], &entry, 1, false);
		assert_damaged(files[i].bytes);
	}
}
END_TEST

/* ---- Tables that others write ---- */

/* Frames without content size and checksum: the table alone has both.  contrib/seekable_format writes such files. */
static struct zst_file table_alone(struct bytes image, size_t frame_len, bool raw_header)
{
	struct zst_file file = { .room = 0 };
	struct seek_entry entries[16];
	size_t count = 0;
	for (size_t pos = 0; pos < image.len; count++) {
		struct bytes part = { image.data + pos, image.len - pos < frame_len ? image.len - pos : frame_len };
		size_t before = file.bytes.len;
		if (raw_header) {
			zst_put_raw_frame(&file, part, BLOCK, ZST_SIZE_4, 0x38);
		} else {
			struct bytes frame = zst_compress(part, false, NULL, 0);
			zst_put(&file, frame.data, frame.len);
		}
		entries[count] = (struct seek_entry){ (uint32_t)(file.bytes.len - before), (uint32_t)part.len,
						      zst_sum(part.data, part.len) };
		pos += part.len;
	}
	zst_put_table(&file, entries, count, true);
	return file;
}

START_TEST(checksums_in_the_table_alone)
{
	enum image_kind kind = _i % 3 == 0 ? IMAGE_NOISE : _i % 3 == 1 ? IMAGE_TEXT : IMAGE_ZEROS;
	bool raw = _i % 3 == 0 && _i >= 3;
	struct bytes image = image_new(kind, 5 * BLOCK);
	struct bytes file = table_alone(image, 2 * BLOCK, raw).bytes;
	struct seek_table table;
	assert_reads(format_named("zstd"), file, image);
	struct blockz_map *map = map_of(bytes_source(file), false);
	ck_assert_int_eq(blockz_map_info(map).index, BLOCKZ_INDEX_TRAILER);
	blockz_map_free(map);
	ck_assert(seek_table_find(file, &table));
	/* Nothing else covers the content. */
	for (size_t i = 0; i < table.count; i++) {
		struct bytes bad = bytes_copy(file);
		bad.data[table.off + 8 + 12 * i + 8] ^= 1;
		assert_damaged(bad);
	}
	if (kind != IMAGE_NOISE)
		return;
	for (int scan = 0; scan < 2; scan++) {
		struct blockz_range where = { 2 * BLOCK - 10, 2 * BLOCK + 10 };
		struct bytes patched = bytes_copy(file), edited = bytes_copy(image);
		if (!scan && !raw)
			continue; /* the table does not tell that these are raw */
		complement(edited, where);
		patch_range(patched, scan, edited, where);
		assert_reads(format_named("zstd"), patched, edited);
		assert_seek_table(patched, edited, true);
		/* Damage is not signed: the frame's old content has to be that of its checksum. */
		struct blockz_edit edit = edit_from(edited, where);
		struct bytes bad = bytes_copy(file);
		bad.data[1000] ^= 1;
		struct bytes before = bytes_copy(bad);
		ck_assert_int_eq(patch_file(bad, scan, &edit, 1, NULL, NULL), BLOCKZ_DAMAGED);
		assert_bytes(bad, before);
	}
}
END_TEST

/* A commit changes the table, and the next write compares with what stands there then. */
START_TEST(a_disk_over_checksums_in_the_table_alone)
{
	const struct blockz_disk_options options = { .cache = MIB, .commit = BLOCKZ_COMMIT_FLUSH };
	struct bytes image = image_new(IMAGE_NOISE, 5 * BLOCK), file = table_alone(image, 2 * BLOCK, true).bytes;
	struct memory_store store;
	struct blockz_disk *disk = NULL;
	memory_store_init(&store, file.data, file.len);
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(blockz_disk_open(&table, &options, &disk, NULL), BLOCKZ_OK);
	for (int i = 0; i < 3; i++) {
		complement(image, (struct blockz_range){ 1000, 2000 });
		ck_assert_int_eq(blockz_disk_write(disk, image.data + 1000, 1000, 1000, NULL), BLOCKZ_OK);
		ck_assert_int_eq(blockz_disk_flush(disk, NULL), BLOCKZ_OK);
		struct bytes now = { store.file.seen, store.file.size };
		assert_reads(format_named("zstd"), now, image);
		assert_seek_table(now, image, true);
	}
	/* Damage is not signed. */
	store.file.seen[3000] ^= 1;
	ck_assert_int_eq(blockz_disk_write(disk, image.data + 1000, 1000, 1000, NULL), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_close(disk, NULL), BLOCKZ_OK);
	memory_store_free(&store);
}
END_TEST

/* A frame too long for memory, whose checksum only the table has. */
START_TEST(long_frame_with_a_table)
{
	struct bytes image = image_new(IMAGE_TEXT, MIB), all = bytes_new(40 * MIB);
	for (size_t i = 0; i < 40; i++)
		memcpy(all.data + i * MIB, image.data, MIB);
	struct bytes file = table_alone(all, all.len, false).bytes;
	assert_verifies(file);
	file.data[file.len - 9 - 4] ^= 1;
	assert_damaged(file);
}
END_TEST

/* Raw content that ends like a seek table is none. */
START_TEST(content_that_ends_like_a_table)
{
	struct bytes inner = table_alone(image_new(IMAGE_TEXT, 3000), 1000, false).bytes;
	for (int i = 0; i < 2; i++) {
		struct zst_file file = { .room = 0 };
		struct bytes image = bytes_join(image_new(IMAGE_NOISE, 5000), inner);
		if (i == 1)
			image.data[image.len - 9]++;
		zst_put_raw_frame(&file, image, BLOCK, ZST_SIZE_4, 0x38);
		assert_reads(format_named("zstd"), file.bytes, image);
		ck_assert_uint_eq(patch_all(file.bytes, image, false), image.len);
	}
}
END_TEST

/* ---- Bounds ---- */

/* The address space, so that what grows beyond all bounds fails. */
static void limit_memory(void)
{
	const struct rlimit limit = { 512 * MIB, 512 * MIB };
	if (!sanitized)
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* Zeros in one frame are decoded in parts. */
START_TEST(long_frame_of_zeros)
{
	const size_t blocks = 8192; /* 1 GiB */
	struct zst_file file = { .room = 0 };
	uint8_t field[4];
	uint8_t *zeros = calloc(blocks, BLOCK);
	ck_assert_ptr_nonnull(zeros);
	store_le32(field, zst_sum(zeros, blocks * BLOCK));
	free(zeros);
	zst_put_header(&file, ZST_SIZE_8 | ZST_CHECKSUM, 0x38, (uint64_t)blocks * BLOCK);
	for (size_t i = 0; i < blocks; i++)
		zst_put_block(&file, i == blocks - 1, ZST_RLE, BLOCK, "");
	zst_put(&file, field, sizeof(field));
	limit_memory();
	assert_verifies(file.bytes);
	struct blockz_source source = bytes_source(file.bytes);
	struct blockz_map *map = map_of(source, false);
	struct blockz_reader *reader = NULL;
	uint8_t byte = 1;
	ck_assert_int_eq(blockz_reader_new(&source, map, &reader, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_reader_read(reader, &byte, 1, 900 * MIB, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(byte, 0);
	blockz_reader_free(reader);
	blockz_map_free(map);
}
END_TEST

/* A frame of raw blocks as ours, but longer: it is changed without having all of it in memory. */
START_TEST(long_frame_of_raw_blocks)
{
	struct bytes image = bytes_new(100 * MIB), room = bytes_new(BLOCK);
	struct zst_file file = { .bytes = { bytes_new(101 * MIB).data, 0 }, .room = 101 * MIB };
	zst_put_raw_frame(&file, image, BLOCK, ZST_SIZE_4 | (_i == 0 ? 0 : ZST_CHECKSUM), 0x38);
	struct blockz_edit edit = edit_from(image, (struct blockz_range){ 50 * MIB, 50 * MIB + 5000 });
	struct blockz_plan_info info;
	const struct rlimit limit = { 320 * MIB, 320 * MIB };
	memset(image.data + 50 * MIB, 'n', 5000);
	if (!sanitized)
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	/* A checksum over all of it would have to be made anew. */
	enum blockz_status status = patch_file(file.bytes, true, &edit, 1, &info, NULL);
	assert_verifies(file.bytes);
	ck_assert_int_eq(status, _i == 0 ? BLOCKZ_OK : BLOCKZ_UNSUPPORTED);
	if (_i == 1)
		return;
	ck_assert_uint_eq(info.payload_bytes, 5000);
	struct blockz_source source = bytes_source(file.bytes);
	struct blockz_map *map = map_of(source, true);
	struct blockz_reader *reader = NULL;
	ck_assert_int_eq(blockz_reader_new(&source, map, &reader, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_reader_read(reader, room.data, 10000, 50 * MIB - 100, NULL), BLOCKZ_OK);
	ck_assert_mem_eq(room.data, image.data + 50 * MIB - 100, 10000);
	blockz_reader_free(reader);
	blockz_map_free(map);
}
END_TEST

/* Frames that say they hold 4 GiB, each another length: what costs time is not done for each. */
START_TEST(lengths_that_nobody_can_sum)
{
	enum { FRAMES = 5000 };
	struct zst_file file = { .room = 0 };
	struct seek_entry *entries = keep(FRAMES * sizeof(*entries));
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint8_t field[4];
		size_t before = file.bytes.len;
		store_le32(field, i);
		zst_put_header(&file, ZST_CHECKSUM, 0x38, 0);
		zst_put_block(&file, true, ZST_RLE, 1, "x");
		zst_put(&file, field, sizeof(field));
		entries[i] = (struct seek_entry){ (uint32_t)(file.bytes.len - before), UINT32_MAX - i % 2, i };
	}
	zst_put_table(&file, entries, FRAMES, true);
	limit_memory();
	assert_damaged(file.bytes);
	for (uint32_t i = 0; i < FRAMES; i++)
		entries[i].image_len = 64 * MIB - i;
	file.bytes.len = FRAMES * (size_t)entries[0].file_len;
	zst_put_table(&file, entries, FRAMES, true);
	assert_damaged(file.bytes);
}
END_TEST

int main(void)
{
	TCase *c = case_new("zstd_foreign");
	tcase_add_loop_test(c, parameters, 0, 7);
	tcase_add_test(c, frames_and_skippable_frames);
	tcase_add_test(c, what_is_not_supported);
	tcase_add_test(c, large_windows);
	tcase_add_test(c, large_windows_of_small_frames);
	tcase_add_loop_test(c, raw_blocks_between_others, 0, 4);
	tcase_add_test(c, random_blocks);
	tcase_add_test(c, headers_that_are_nearly_ours);
	tcase_add_test(c, windows_that_are_too_small);
	tcase_add_loop_test(c, checksums_in_the_table_alone, 0, 6);
	tcase_add_test(c, a_disk_over_checksums_in_the_table_alone);
	tcase_add_test(c, long_frame_with_a_table);
	tcase_add_test(c, content_that_ends_like_a_table);
	tcase_add_test(c, long_frame_of_zeros);
	tcase_add_loop_test(c, long_frame_of_raw_blocks, 0, 2);
	tcase_add_test(c, lengths_that_nobody_can_sum);
	return case_run("zstd_foreign", c);
}
