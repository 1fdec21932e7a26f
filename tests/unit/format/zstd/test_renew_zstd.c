/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of .zst encoded again: by what, filled up, and with all right that speaks of their lengths and contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getFrameHeader */
#include "base/bytes.h"
#include "base/checked.h"
#include "foreign_zst.h"
#include "format/formats.h"
#include "judge.h"

enum { BLOCK = 131072 };

static ZSTD_frameHeader header_of(struct bytes frame)
{
	ZSTD_frameHeader header;
	ck_assert_uint_eq(ZSTD_getFrameHeader(&header, frame.data, frame.len), 0);
	return header;
}

/* ---- A file whose frames are encoded again, as edits of their bytes need ---- */

struct replaced {
	struct blockz_range old;
	struct bytes bytes;
};

struct work {
	struct bytes file, edited; /* the image, as it is to be */
	struct blockz_map *map;
	bool fill_up; /* lengths stay */
	struct replaced *replaced;
	struct renewed_piece *renewed;
	size_t replaced_count, renewed_count, room;
	unsigned replace_fails_at; /* counted from 1; 0: never */
};

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct work *work = ctx;
	(void)fault;
	ck_assert_uint_le(old.end, work->file.len);
	if (work->replace_fails_at > 0 && --work->replace_fails_at == 0)
		return BLOCKZ_FAILED;
	ck_assert_uint_lt(work->replaced_count, work->room);
	struct bytes copy = bytes_new(len);
	memcpy(copy.data, bytes, len);
	work->replaced[work->replaced_count++] = (struct replaced){ old, copy };
	return BLOCKZ_OK;
}

static struct bytes encode(struct work *work, const struct pack_params *params, uint64_t start, uint64_t *tag_ret)
{
	struct encoding encoding = { .len = 0 };
	void *encoder = format_zstd.encoder_new(params);
	struct plain_piece plain = { .bytes = work->edited.data + start, .len = (size_t)params->piece_size, .start = start };
	ck_assert_ptr_nonnull(encoder);
	ck_assert_int_eq(format_zstd.encode(encoder, &plain, &encoding, NULL), BLOCKZ_OK);
	format_zstd.encoder_free(encoder);
	struct bytes made = bytes_new(encoding.len);
	memcpy(made.data, encoding.out.bytes, encoding.len);
	*tag_ret = encoding.tag;
	buffer_free(&encoding.out);
	return made;
}

/* A decoder needs no more memory for it, and all is in it that a reader may want. */
static void assert_like(struct bytes new, struct bytes old, size_t image_len)
{
	ZSTD_frameHeader after = header_of(new), before = header_of(old);
	ck_assert_uint_le(after.windowSize, before.windowSize);
	ck_assert_uint_eq(after.frameContentSize, image_len);
	ck_assert_uint_eq(after.checksumFlag, before.checksumFlag);
}

static void renew_frame(struct work *work, size_t piece, uint64_t copy, uint64_t start)
{
	struct blockz_source source = bytes_source(work->file);
	const struct piece *item = &work->map->pieces[piece];
	uint64_t file_len = item->file_len / item->copies, file_off = item->file_off + copy * file_len, tag = 0;
	struct bytes old = { work->file.data + file_off, (size_t)file_len }, new = { .len = 0 };
	struct pack_params params;
	ck_assert_int_eq(format_zstd.renew_params(&source, work->map, piece, &params, NULL), BLOCKZ_OK);
	ck_assert_int_eq(params.level, 0);
	for (const int *level = format_zstd.renew_levels; *level != 0; level++) {
		struct bytes filled;
		params.level = *level;
		new = encode(work, &params, start, &tag);
		assert_like(new, old, (size_t)params.piece_size);
		if (!work->fill_up || (new.len <= old.len && zst_fill(new, old.len - new.len, &filled))) {
			new = work->fill_up ? filled : new;
			break;
		}
	}
	if (work->fill_up)
		ck_assert_uint_eq(new.len, old.len);
	zst_assert_frame(new, (struct bytes){ work->edited.data + start, (size_t)params.piece_size });
	ck_assert_int_eq(replace(work, (struct blockz_range){ file_off, file_off + file_len }, new.data, new.len, NULL), BLOCKZ_OK);
	work->renewed[work->renewed_count++] = (struct renewed_piece){
		piece, copy, new.len, tag,
		item->method == CHECK_NONE ? 0 : zst_sum(work->edited.data + start, (size_t)params.piece_size),
	};
}

/* Every frame whose bytes differ from the old image's. */
static void renew_frames(struct work *work, struct bytes image)
{
	const struct blockz_map *map = work->map;
	ck_assert_uint_eq(map->image_size, image.len);
	for (size_t i = 0; i < map->piece_count; i++) {
		uint64_t start = map->pieces[i].start, end = i + 1 < map->piece_count ? map->pieces[i + 1].start : image.len;
		uint64_t len = (end - start) / map->pieces[i].copies;
		for (uint64_t copy = 0; copy < map->pieces[i].copies; copy++)
			if (memcmp(image.data + start + copy * len, work->edited.data + start + copy * len, len) != 0)
				renew_frame(work, i, copy, start + copy * len);
	}
}

static int by_offset(const void *a, const void *b)
{
	const struct replaced *x = a, *y = b;
	return x->old.start < y->old.start ? -1 : x->old.start > y->old.start;
}

/* The file with all that was replaced. */
static struct bytes new_file(struct work *work)
{
	struct zst_file out = { .room = 0 };
	uint64_t pos = 0;
	qsort(work->replaced, work->replaced_count, sizeof(struct replaced), by_offset);
	for (size_t i = 0; i < work->replaced_count; i++) {
		const struct replaced *replaced = &work->replaced[i];
		ck_assert_uint_le(pos, replaced->old.start);
		zst_put(&out, work->file.data + pos, (size_t)(replaced->old.start - pos));
		zst_put(&out, replaced->bytes.data, replaced->bytes.len);
		pos = replaced->old.end;
	}
	zst_put(&out, work->file.data + pos, (size_t)(work->file.len - pos));
	return out.bytes;
}

static enum blockz_status renew_index(struct work *work)
{
	struct blockz_source source = bytes_source(work->file);
	struct renewal renewal = {
		.file = &source, .map = work->map, .pieces = work->renewed, .count = work->renewed_count,
		.file_size = new_file(work).len, .replace = replace, .ctx = work,
	};
	return format_zstd.renew_index(&renewal, NULL);
}

static enum blockz_status renew(struct bytes file, bool scan, struct bytes image, struct bytes edited, bool fill_up,
				struct bytes *file_ret)
{
	struct work work = { .file = file, .edited = edited, .map = map_of(bytes_source(file), scan), .fill_up = fill_up, .room = 1000 };
	work.replaced = keep(work.room * sizeof(*work.replaced));
	work.renewed = keep(work.room * sizeof(*work.renewed));
	renew_frames(&work, image);
	size_t frames = work.replaced_count;
	enum blockz_status status = renew_index(&work);
	*file_ret = new_file(&work);
	if (fill_up)
		ck_assert_uint_eq(file_ret->len, file.len);
	/* An error of the callback is passed on, at each of its calls. */
	for (size_t i = frames; status == BLOCKZ_OK && i < work.replaced_count; i++) {
		struct work again = work;
		again.replaced_count = frames;
		again.replace_fails_at = (unsigned)(i - frames + 1);
		ck_assert_int_eq(renew_index(&again), BLOCKZ_FAILED);
	}
	blockz_map_free(work.map);
	return status;
}

/* ---- By what a frame is encoded again ---- */

/* What a decoder needs for it is no more than what the old one needed, by whatever it was made, and at every level. */
START_TEST(windows)
{
	static const int levels[] = { 1, 3, 9, 19 }, window_logs[] = { 0, 10, 17 };
	struct bytes image = image_new(IMAGE_DISK, 2 * BLOCK + 5), frame = { .len = 0 };
	for (int i = 0; i < 6; i++) {
		const struct zst_parameter parameters[] = {
			{ ZSTD_c_compressionLevel, levels[_i] }, { ZSTD_c_windowLog, window_logs[i / 2] }, { ZSTD_c_checksumFlag, i % 2 },
		};
		struct bytes old = zst_compress(image, i % 2, parameters, 3);
		struct blockz_source source = bytes_source(old);
		struct work work = { .edited = image, .map = map_of(source, false) };
		struct pack_params params;
		uint64_t tag = 0;
		ck_assert_int_eq(format_zstd.renew_params(&source, work.map, 0, &params, NULL), BLOCKZ_OK);
		for (const int *level = format_zstd.renew_levels; *level != 0; level++) {
			params.level = *level;
			frame = encode(&work, &params, 0, &tag);
			assert_like(frame, old, image.len);
			zst_assert_frame(frame, image);
		}
		blockz_map_free(work.map);
	}
}
END_TEST

/* A window of a power of two and some eighths, and every level: none makes more of it. */
START_TEST(odd_windows)
{
	struct bytes text = image_new(IMAGE_TEXT, 3 * BLOCK), frame;
	for (int descriptor = 0; descriptor < 9 << 3; descriptor += few_rounds ? 7 : 1) {
		uint64_t base = UINT64_C(1024) << (descriptor >> 3), tag;
		struct bytes image = { text.data, min(4 * base, text.len) }; /* longer than the window */
		struct pack_params params = { .check = CHECK_NONE, .piece_size = image.len };
		struct work work = { .edited = image };
		params.window_max = base + base / 8 * (unsigned)(descriptor & 7);
		for (const int *level = format_zstd.renew_levels; *level != 0; level++) {
			params.level = *level;
			frame = encode(&work, &params, 0, &tag);
			ck_assert_uint_le(header_of(frame).windowSize, params.window_max);
			ck_assert_uint_gt(2 * header_of(frame).windowSize, params.window_max);
		}
		zst_assert_frame(frame, image);
	}
}
END_TEST

/* ---- The seek table ---- */

static struct bytes put_text(struct bytes image, size_t off)
{
	struct bytes edited = bytes_copy(image);
	memcpy(edited.data + off, "so many new bytes, so many", 26);
	return edited;
}

/* _i & 1: with checksums; _i & 2: lengths stay.  In text, over the edge of frames, in the run of zeros, at the end. */
START_TEST(own_files)
{
	enum { PIECE = 65536 };
	bool checksums = _i & 1, fill_up = _i & 2;
	struct bytes image = bytes_join(image_new(IMAGE_TEXT, 4 * PIECE), bytes_new(9 * PIECE)), file;
	image = bytes_join(image, image_new(IMAGE_TEXT, 3 * PIECE - 777));
	const size_t offs[] = { 100, 2 * PIECE - 10, 6 * PIECE + 5, 5 * PIECE - 10, 13 * PIECE - 20, image.len - 26 };
	struct blockz_range raw = { PIECE, PIECE + 1000 };
	struct blockz_pack_options options = {
		.level = 1, .piece_size = PIECE, .check = checksums ? NULL : "none", .raw = &raw, .raw_count = 1,
	};
	struct bytes packed = pack_image(format_named("zstd"), image, options, NULL);
	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		struct bytes edited = put_text(image, offs[i]);
		bool in_zeros = offs[i] + 26 > 4 * PIECE && offs[i] < 13 * PIECE;
		for (int scan = 0; scan < 2 && !(fill_up && in_zeros); scan++) {
			ck_assert_int_eq(renew(packed, scan, image, edited, fill_up, &file), BLOCKZ_OK);
			assert_seek_table(file, edited, checksums);
			assert_reads(format_named("zstd"), file, edited);
			struct blockz_map *map = map_of(bytes_source(file), false);
			ck_assert_int_eq(blockz_map_info(map).index, BLOCKZ_INDEX_TRAILER);
			blockz_map_free(map);
		}
	}
}
END_TEST

/* What is wrong in a table: what is added to an entry, or that the last entries are missing. */
struct mistake {
	size_t entry;
	struct seek_entry by;
	size_t missing;
};

/* Frames of 20,000 bytes, some of none and some that decoders pass over between them, and a table of all of them. */
static struct bytes table_file(struct bytes image, bool own_checksums, bool checksums, const struct mistake *mistake)
{
	struct zst_file file = { .room = 0 };
	struct seek_entry entries[64];
	size_t count = 0, pos = 0;
	for (int i = 0; pos < image.len; i++) {
		const struct zst_parameter checksum = { ZSTD_c_checksumFlag, own_checksums };
		struct bytes part = { image.data + pos, image.len - pos < 20000 ? image.len - pos : 20000 };
		size_t before = file.bytes.len;
		if (i % 4 == 1)
			part.len = 0;
		if (i % 4 == 3) {
			part.len = 0;
			zst_put_skippable(&file, 0, (size_t)i);
		} else {
			struct bytes frame = zst_compress(part, i % 4 < 2, &checksum, 1);
			zst_put(&file, frame.data, frame.len);
		}
		entries[count++] = (struct seek_entry){
			(uint32_t)(file.bytes.len - before), (uint32_t)part.len, zst_sum(part.data, part.len),
		};
		pos += part.len;
	}
	if (mistake != NULL) {
		struct seek_entry *entry = &entries[mistake->entry];
		entry[0].file_len += mistake->by.file_len;
		entry[1].file_len -= mistake->by.file_len;
		entry[0].image_len += mistake->by.image_len;
		entry[0].checksum += mistake->by.checksum;
		count -= mistake->missing;
	}
	zst_put_table(&file, entries, count, checksums);
	return file.bytes;
}

static void assert_table_of_all(struct bytes file, struct bytes image, struct bytes like, bool checksums)
{
	struct seek_table table, old;
	size_t off = 0, pos = 0;
	ck_assert(seek_table_find(file, &table));
	ck_assert(seek_table_find(like, &old));
	ck_assert_uint_eq(table.count, old.count);
	for (size_t i = 0; i < table.count; i++) {
		const struct seek_entry *entry = &table.entries[i];
		ck_assert_uint_eq(ZSTD_findFrameCompressedSize(file.data + off, table.off - off), entry->file_len);
		ck_assert_uint_eq(entry->image_len, old.entries[i].image_len);
		if (checksums)
			ck_assert_uint_eq(entry->checksum, zst_sum(image.data + pos, entry->image_len));
		off += entry->file_len;
		pos += entry->image_len;
	}
	ck_assert_uint_eq(off, table.off);
	ck_assert_uint_eq(pos, image.len);
}

/* _i: where checksums are: 1 in the frames, 2 in the table. */
START_TEST(tables_of_others)
{
	bool own = _i & 1, checksums = _i & 2;
	struct bytes image = image_new(IMAGE_TEXT, 200000), old = table_file(image, own, checksums, NULL), file;
	for (size_t off = 3; off < image.len - 26; off += 19997) {
		struct bytes edited = put_text(image, off);
		for (int scan = 0; scan < 2; scan++) {
			enum blockz_status status = renew(old, scan, image, edited, false, &file);
			/* A scan has taken nothing from the table, and so there is no checksum to put into it. */
			ck_assert_int_eq(status, scan && checksums && !own ? BLOCKZ_UNSUPPORTED : BLOCKZ_OK);
			if (status != BLOCKZ_OK)
				continue;
			assert_table_of_all(file, edited, old, checksums);
			assert_reads(format_named("zstd"), file, edited);
		}
	}
}
END_TEST

/* A table that was wrong before stays as it was, by a scan too, unless what is wrong is the checksum of another frame. */
START_TEST(tables_that_do_not_fit)
{
	const struct mistake mistakes[] = {
		{ .entry = 2, .by = { .file_len = 1 } }, { .entry = 0, .by = { .image_len = 1 } },
		{ .entry = 1, .by = { .image_len = 1 } }, { .entry = 0, .by = { .checksum = 1 } },
		{ .entry = 2, .by = { .checksum = 1 } }, { .missing = 1 },
	};
	const struct mistake *mistake = &mistakes[_i];
	struct bytes image = image_new(IMAGE_TEXT, 200000), old = table_file(image, true, true, mistake), file;
	struct bytes edited = put_text(image, 5);
	struct seek_table table;
	ck_assert(seek_table_find(old, &table));
	size_t len = old.len - table.off;
	for (int scan = 0; scan < 2; scan++) {
		ck_assert_int_eq(renew(old, scan, image, edited, false, &file), BLOCKZ_OK);
		bool same = memcmp(file.data + file.len - len, old.data + table.off, len) == 0;
		ck_assert(same == !(scan && mistake->by.checksum != 0 && mistake->entry == 2));
		assert_decodes("zstd", bytes_copy((struct bytes){ file.data, file.len - len }), edited);
	}
}
END_TEST

/* Content that ends like a table: what a frame holds is none. */
START_TEST(content_that_ends_like_a_table)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000), file;
	struct zst_file inner = { .room = 0 }, old = { .room = 0 };
	struct seek_entry entry = { 500, 1000, 0 };
	zst_put_table(&inner, &entry, 1, false);
	struct bytes frame = zst_compress(image, true, NULL, 0);
	zst_put(&old, frame.data, frame.len);
	zst_put_raw_frame(&old, inner.bytes, BLOCK, ZST_SIZE_4, 7 << 3);
	struct bytes both = bytes_join(image, inner.bytes), edited = put_text(both, 50);
	ck_assert_int_eq(renew(old.bytes, false, both, edited, false, &file), BLOCKZ_OK);
	assert_reads(format_named("zstd"), file, edited);
}
END_TEST

/* ---- The lengths that pzstd keeps ---- */

static void put_length(struct zst_file *file, uint32_t len)
{
	uint8_t bytes[12] = { 0x50, 0x2a, 0x4d, 0x18, 4 };
	store_le32(bytes + 8, len);
	zst_put(file, bytes, sizeof(bytes));
}

/* pzstd's decoder goes by the lengths: it has threads, and does not look at the bytes between. */
static void assert_pzstd(struct bytes file, struct bytes image)
{
	char name[] = "/tmp/blockz-renew-XXXXXX", command[100];
	struct bytes room = bytes_new(image.len + 1);
	int fd = mkstemp(name);
	FILE *out = fdopen(fd, "wb");
	ck_assert_uint_eq(fwrite(file.data, 1, file.len, out), file.len);
	ck_assert_int_eq(fclose(out), 0);
	snprintf(command, sizeof(command), "pzstd -q -d -c -p 2 %s", name);
	FILE *in = popen(command, "r");
	ck_assert_uint_eq(fread(room.data, 1, room.len, in), image.len);
	ck_assert_int_eq(pclose(in), 0);
	ck_assert_mem_eq(room.data, image.data, image.len);
	ck_assert_int_eq(remove(name), 0);
}

/* _i: lengths stay; the last of the frames stands before no length, but before 12 other bytes. */
START_TEST(lengths_before_frames)
{
	struct bytes image = image_new(IMAGE_TEXT, 100000), file;
	struct zst_file old = { .room = 0 };
	for (size_t pos = 0; pos < image.len; pos += 20000) {
		const struct zst_parameter checksum = { ZSTD_c_checksumFlag, 1 };
		struct bytes frame = zst_compress((struct bytes){ image.data + pos, 20000 }, true, &checksum, 1);
		put_length(&old, (uint32_t)frame.len);
		zst_put(&old, frame.data, frame.len);
	}
	assert_pzstd(old.bytes, image);
	for (size_t off = 7; off < image.len - 26; off += 19990) {
		struct bytes edited = put_text(image, off);
		if (_i == 1)
			memset(edited.data + off, 'x', off % 20000 < 19000 ? 1000 : 40);
		ck_assert_int_eq(renew(old.bytes, false, image, edited, _i, &file), BLOCKZ_OK);
		assert_pzstd(file, edited);
		assert_reads(format_named("zstd"), file, edited);
	}
}
END_TEST

/* Of twelve bytes that could be a length, in a frame of another program, or of another number, none is changed. */
START_TEST(no_lengths)
{
	struct bytes image = image_new(IMAGE_TEXT, 20000), edited = put_text(image, 5), file;
	struct bytes frame = zst_compress(image, true, NULL, 0);
	struct zst_file lengths = { .room = 0 }, raw = { .room = 0 };
	put_length(&lengths, (uint32_t)frame.len + 1);
	zst_put(&lengths, frame.data, frame.len);
	ck_assert_int_eq(renew(lengths.bytes, false, image, edited, false, &file), BLOCKZ_OK);
	ck_assert_mem_eq(file.data, lengths.bytes.data, 12);
	struct zst_file content = { .room = 0 };
	put_length(&content, (uint32_t)frame.len);
	zst_put_raw_frame(&raw, content.bytes, BLOCK, ZST_SIZE_4, 7 << 3);
	size_t before = raw.bytes.len;
	zst_put(&raw, frame.data, frame.len);
	ck_assert_mem_eq(raw.bytes.data + before - 12, content.bytes.data, 12);
	ck_assert_int_eq(renew(raw.bytes, false, bytes_join(content.bytes, image), bytes_join(content.bytes, edited), false, &file),
			 BLOCKZ_OK);
	ck_assert_mem_eq(file.data, raw.bytes.data, before);
	assert_reads(format_named("zstd"), file, bytes_join(content.bytes, edited));
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("renew_zstd");
	tcase_add_loop_test(tcase, windows, 0, 4);
	tcase_add_test(tcase, odd_windows);
	tcase_add_loop_test(tcase, own_files, 0, 4);
	tcase_add_loop_test(tcase, tables_of_others, 0, 4);
	tcase_add_loop_test(tcase, tables_that_do_not_fit, 0, 6);
	tcase_add_test(tcase, content_that_ends_like_a_table);
	tcase_add_loop_test(tcase, lengths_before_frames, 0, 2);
	tcase_add_test(tcase, no_lengths);
	return case_run("renew_zstd", tcase);
}
