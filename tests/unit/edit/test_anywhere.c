/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits of compressed bytes: in place and as new files, by all formats, with raw ranges among them. */
#include <stdlib.h>
#include <string.h>

#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "growing_store.h"
#include "grouped.h"
#include "images.h"
#include "range/map.h"
#include "verbatim.h"

enum { IMAGE_LEN = 3 * MIB + 70001 };

static const struct blockz_range raw[] = { { 300000, 500000 }, { 2 * MIB, 2 * MIB + 4096 } };

/* Text, lines, zeros and what does not compress, with raw ranges in three of them. */
static struct bytes new_image(void)
{
	struct bytes image = image_new(IMAGE_LINES, IMAGE_LEN);
	fill_text(image.data, MIB / 2);
	memset(image.data + MIB, 0, MIB / 2 + 12345);
	rnd_fill(image.data + 2 * MIB - 100000, 200000);
	return image;
}

static struct bytes pack_it(const struct blockz_format *format, struct bytes image, bool no_index, bool has_raw)
{
	struct blockz_pack_options options = {
		.level = 1, .piece_size = format->piece_size_min, .no_index = no_index, .raw = raw, .raw_count = has_raw ? 2 : 0,
	};
	struct bytes file = pack_image(format, image, options, NULL);
	return format == format_named("gzip") && rnd_below(2) == 0 ? gzip_grouped(file, options.piece_size << (1 + rnd_below(5))) : file;
}

/* ---- Planning and carrying out ---- */

struct outcome {
	struct blockz_plan_info info;
	struct bytes file;
};

/* A plan that keeps the length can be carried out in place, to the same bytes; one that does not is refused. */
static void check_in_place(const struct blockz_plan *plan, struct bytes file, struct bytes copy)
{
	struct bytes here = bytes_copy(file);
	struct plain_store self = { .bytes = here };
	struct blockz_store store = plain_store(&self);
	struct blockz_fault fault;
	if (blockz_plan_info(plan).is_splice) {
		ck_assert_int_eq(blockz_plan_apply(plan, &store, &fault), BLOCKZ_USAGE);
		assert_bytes(here, file);
		return;
	}
	ck_assert_int_eq(blockz_plan_apply(plan, &store, &fault), BLOCKZ_OK);
	assert_bytes(here, copy);
}

static enum blockz_status edit_file(struct bytes file, bool scan, const struct blockz_edit *edits, size_t count,
				    enum blockz_way way, struct outcome *outcome, struct blockz_fault *fault)
{
	struct growing_store scratch = { .len = 0 };
	struct blockz_store store = growing_store(&scratch);
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, scan);
	const struct blockz_anywhere how = { .way = way, .scratch = &store, .work = { .threads = 1 + (unsigned)rnd_below(3) } };
	struct blockz_plan *plan = NULL;
	enum blockz_status status = blockz_plan_anywhere(&source, map, edits, count, &how, &plan, fault);
	if (status == BLOCKZ_OK) {
		struct growing_sink sink = { .calls = 0 };
		struct blockz_sink out = growing_sink(&sink);
		ck_assert_int_eq(blockz_plan_copy(plan, &source, &out, fault), BLOCKZ_OK);
		outcome->info = blockz_plan_info(plan);
		outcome->file = sink.bytes;
		ck_assert_uint_eq(outcome->info.file_size, sink.bytes.len);
		assert_verbatim(plan, file, sink.bytes);
		check_in_place(plan, file, sink.bytes);
		blockz_plan_free(plan);
	}
	blockz_map_free(map);
	growing_store_free(&scratch);
	return status;
}

static void assert_edited(const struct blockz_format *format, struct bytes file, struct bytes image)
{
	assert_decodes(format->name, file, image);
	assert_verifies(file);
}

/* ---- Edits ---- */

static void random_edit(struct blockz_edit *edit, struct bytes image, struct bytes edited)
{
	static const uint64_t lengths[] = { 1, 16, 64, 4096, 70000, 200000 };
	uint64_t len = lengths[rnd_below(6)], start = rnd_below(image.len - len);
	struct bytes data = bytes_copy(edited);
	if (rnd_below(8) == 0)
		start = rnd_below(2) == 0 ? 0 : image.len - len;
	if (rnd_below(2) == 0)
		rnd_fill(data.data + start, (size_t)len);
	else
		memmove(data.data + start, data.data + rnd_below(image.len - len), (size_t)len);
	*edit = edit_from(data, (struct blockz_range){ start, start + len });
	memcpy(edited.data + start, data.data + start, (size_t)len);
}

START_TEST(random_edits_equal_those_of_the_plain_image)
{
	const struct blockz_format *format = format_of(_i);
	static const enum blockz_way ways[] = { BLOCKZ_WAY_AUTO, BLOCKZ_WAY_SPLICE, BLOCKZ_WAY_IN_PLACE };
	size_t in_place = 0, spliced = 0;
	for (int round = 0; round < (few_rounds ? 4 : 8); round++) {
		const struct kept *mark = kept_so_far();
		struct bytes image = new_image(), file = pack_it(format, image, round & 1, round & 2);
		for (int again = 0; again < 3; again++) {
			struct bytes edited = bytes_copy(image);
			struct blockz_edit edits[3];
			struct outcome outcome = { 0 };
			struct blockz_fault fault;
			size_t count = 1 + (size_t)rnd_below(3);
			for (size_t i = 0; i < count; i++)
				random_edit(&edits[i], image, edited);
			enum blockz_status status = edit_file(file, round & 1, edits, count, ways[again], &outcome, &fault);
			if (status == BLOCKZ_UNSUPPORTED && ways[again] == BLOCKZ_WAY_IN_PLACE)
				continue;
			ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
			assert_edited(format, outcome.file, edited);
			in_place += !outcome.info.is_splice;
			spliced += outcome.info.is_splice;
			image = edited;
			file = outcome.file;
		}
		forget_since(mark);
	}
	ck_assert_uint_gt(in_place, 0);
	ck_assert_uint_gt(spliced, 0);
}
END_TEST

/* A byte of text costs no byte of the file, at the default level.  Where a Block of xz seldom fits, it costs a new file. */
START_TEST(small_edits_fit)
{
	const struct blockz_format *format = format_of(_i);
	enum blockz_way way = strcmp(format->name, "xz") == 0 ? BLOCKZ_WAY_AUTO : BLOCKZ_WAY_IN_PLACE;
	struct bytes image = image_new(IMAGE_TEXT, MIB / 2);
	struct bytes file = pack_image(format, image, (struct blockz_pack_options){ .level = 2 }, NULL);
	struct outcome outcome = { 0 };
	struct blockz_fault fault;
	for (int round = 0; round < 4; round++) {
		struct bytes edited = bytes_copy(image);
		uint64_t at = rnd_below(image.len);
		edited.data[at] ^= 1;
		struct blockz_edit edit = edit_from(edited, (struct blockz_range){ at, at + 1 });
		ck_assert_msg(edit_file(file, false, &edit, 1, way, &outcome, &fault) == BLOCKZ_OK, "%s", fault.text);
		ck_assert(!outcome.info.is_splice || way == BLOCKZ_WAY_AUTO);
		ck_assert_uint_eq(outcome.info.renewed.pieces, 1);
		ck_assert_uint_eq(outcome.info.payload_bytes, 1);
		assert_edited(format, outcome.file, edited);
	}
}
END_TEST

/* A piece of zeros gets a check in the index, also where others of its length are spliced. */
START_TEST(long_zeros_are_edited)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_ZEROS, 17 * MIB);
	struct bytes file = pack_image(format, image, (struct blockz_pack_options){ .level = 2, .piece_size = 8 * MIB }, NULL);
	struct bytes edited = bytes_copy(image);
	struct outcome outcome = { 0 };
	struct blockz_fault fault;
	fill_text(edited.data + 9 * MIB, 500);
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 9 * MIB, 9 * MIB + 500 });
	ck_assert_msg(edit_file(file, false, &edit, 1, BLOCKZ_WAY_SPLICE, &outcome, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(outcome.info.renewed.image_bytes, 8 * MIB);
	assert_edited(format, outcome.file, edited);
}
END_TEST

/*
 * An xz Block longer than what is encoded again as a whole, behind a filter, which no splice can deal with: it is nevertheless,
 * to a new file, or in its place where that is asked for.
 */
START_TEST(long_pieces_that_cannot_be_spliced)
{
	static const enum blockz_way ways[] = { BLOCKZ_WAY_AUTO, BLOCKZ_WAY_IN_PLACE };
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 1 };
	lzma_options_lzma options;
	struct bytes image = image_new(IMAGE_TEXT, 4 * MIB + 4096), edited = bytes_copy(image);
	struct outcome outcome = { 0 };
	struct blockz_fault fault;
	ck_assert(!lzma_lzma_preset(&options, 0));
	memset(image.data + MIB, 0, 3 * MIB); /* for it to be short work */
	memset(edited.data + MIB, 0, 3 * MIB);
	const lzma_filter filters[] = { { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct xz_stream *stream = xz_begin(LZMA_CHECK_CRC64);
	xz_put(stream, image, filters);
	struct bytes file = xz_end(stream);
	edited.data[70000] ^= 1;
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 70000, 70001 });
	ck_assert_msg(edit_file(file, false, &edit, 1, ways[_i], &outcome, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(outcome.info.is_splice, ways[_i] == BLOCKZ_WAY_AUTO);
	ck_assert_uint_eq(outcome.info.renewed.pieces, 1);
	assert_edited(format_named("xz"), outcome.file, edited);
}
END_TEST

START_TEST(what_is_there_already_is_not_written)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_it(format, image, false, true);
	struct blockz_edit edit = edit_from(image, (struct blockz_range){ 0, image.len });
	struct outcome outcome = { 0 };
	for (int same = 0; same < 2; same++) {
		edit.same_elsewhere = same;
		ck_assert_int_eq(edit_file(file, false, &edit, 1, BLOCKZ_WAY_AUTO, &outcome, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(outcome.info.writes, 0);
		assert_bytes(outcome.file, file);
	}
}
END_TEST

/* All differences of a whole image are found, and nothing else is encoded again. */
START_TEST(a_whole_image_may_differ_everywhere)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), edited = bytes_copy(image), file = pack_it(format, image, false, true);
	const uint64_t places[] = { 5, 350000, MIB + 5000, MIB + 300000, 2 * MIB + 10, IMAGE_LEN - 1 };
	struct outcome outcome = { 0 };
	struct blockz_fault fault;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		edited.data[places[i]] ^= 0x55;
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, image.len });
	edit.same_elsewhere = true;
	ck_assert_msg(edit_file(file, false, &edit, 1, BLOCKZ_WAY_SPLICE, &outcome, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(outcome.info.renewed.pieces, 4); /* two of the places are raw */
	assert_edited(format, outcome.file, edited);
}
END_TEST

/* Each bit of a file, flipped before an edit elsewhere or here: it is refused, or the damage shows afterwards. */
START_TEST(damage_is_never_laundered)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 5 * format->piece_size_min / 2);
	struct blockz_pack_options options = { .level = 1, .piece_size = format->piece_size_min };
	struct bytes good = pack_image(format, image, options, NULL), edited = bytes_copy(image);
	edited.data[1000] ^= 1;
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 900, 1100 });
	for (int round = 0; round < (few_rounds ? 60 : 300); round++) {
		const struct kept *mark = kept_so_far();
		struct bytes file = bytes_flipped(good, rnd_below(8 * good.len)), room = { keep(2 * image.len), 2 * image.len };
		struct growing_store scratch = { .len = 0 };
		struct blockz_store store = growing_store(&scratch);
		struct blockz_source source = bytes_source(file);
		const struct blockz_anywhere how = {
			.way = round & 1 ? BLOCKZ_WAY_SPLICE : BLOCKZ_WAY_AUTO, .scratch = &store, .work = { .threads = 1 },
		};
		struct blockz_map *map = NULL;
		struct blockz_plan *plan = NULL;
		size_t len = 0;
		if (blockz_map_read(&source, NULL, &map, NULL) == BLOCKZ_OK &&
		    blockz_plan_anywhere(&source, map, &edit, 1, &how, &plan, NULL) == BLOCKZ_OK) {
			struct growing_sink sink = { .calls = 0 };
			struct blockz_sink out = growing_sink(&sink);
			ck_assert_int_eq(blockz_plan_copy(plan, &source, &out, NULL), BLOCKZ_OK);
			if (called_good(format, sink.bytes, room, &len))
				assert_bytes(((struct bytes){ room.data, len }), edited);
		}
		blockz_plan_free(plan);
		blockz_map_free(map);
		growing_store_free(&scratch);
		forget_since(mark);
	}
}
END_TEST

/* ---- Pieces that do not fit borrow from their neighbours ---- */

static const struct blockz_format *gzip_or_zstd(int i)
{
	return format_named(i == 0 ? "gzip" : "zstd");
}

enum { TILE = 64 * KIB };

/* An image of pieces, one a letter: Text, nearly Empty, Zeros, Noise behind text, Raw. */
struct tiles {
	const char *letters;
	size_t piece_size;
	struct bytes image, edited;
	struct blockz_edit edits[8];
	size_t edit_count;
};

static uint8_t *tile(const struct tiles *tiles, struct bytes image, size_t i)
{
	return image.data + i * tiles->piece_size;
}

static struct tiles tiles_new(const char *letters, size_t size)
{
	struct tiles tiles = { .letters = letters, .piece_size = size, .image = bytes_new(strlen(letters) * size) };
	for (size_t i = 0; letters[i] != 0; i++) {
		if (letters[i] == 't' || letters[i] == 'n')
			fill_text(tile(&tiles, tiles.image, i), size);
		if (letters[i] == 'e' || letters[i] == 'r')
			rnd_fill(tile(&tiles, tiles.image, i), 100);
		if (letters[i] == 'n')
			rnd_fill(tile(&tiles, tiles.image, i) + size / 2, size / 2);
	}
	tiles.edited = bytes_copy(tiles.image);
	return tiles;
}

static struct bytes tiles_pack(const struct blockz_format *format, const struct tiles *tiles, bool no_index)
{
	struct blockz_range ranges[8];
	size_t count = 0;
	for (size_t i = 0; tiles->letters[i] != 0; i++)
		if (tiles->letters[i] == 'r')
			ranges[count++] = (struct blockz_range){ i * tiles->piece_size, (i + 1) * tiles->piece_size };
	const struct blockz_pack_options options = {
		.level = 2, .piece_size = tiles->piece_size, .no_index = no_index, .raw = ranges, .raw_count = count,
	};
	return pack_image(format, tiles->image, options, NULL);
}

/* Has so many random bytes in the middle of a piece, which was encoded to fewer if it was nearly empty. */
static void tiles_edit(struct tiles *tiles, size_t i, size_t len)
{
	uint64_t start = i * tiles->piece_size + tiles->piece_size / 2;
	for (size_t k = 0; k < len; k++)
		tiles->edited.data[start + k] ^= (uint8_t)(1 + rnd_below(255));
	tiles->edits[tiles->edit_count++] = edit_from(tiles->edited, (struct blockz_range){ start, start + len });
}

enum { FEW = 200 }; /* bytes that text can lend */

/* The edits fit, and `renewed` pieces are encoded again for that; the index, if there is one, is still one, and right. */
static struct bytes assert_fits(const struct blockz_format *format, const struct tiles *tiles, struct bytes file, size_t renewed)
{
	struct outcome outcome = { 0 };
	struct blockz_fault fault;
	ck_assert_msg(edit_file(file, false, tiles->edits, tiles->edit_count, BLOCKZ_WAY_IN_PLACE, &outcome, &fault) == BLOCKZ_OK,
		      "%s: %s", tiles->letters, fault.text);
	ck_assert_uint_eq(outcome.file.len, file.len);
	ck_assert_msg(outcome.info.renewed.pieces == renewed, "%s: %d pieces", tiles->letters, (int)outcome.info.renewed.pieces);
	ck_assert_uint_eq(outcome.info.payload_bytes, tiles->edit_count * FEW);
	struct blockz_source before = bytes_source(file), after = bytes_source(outcome.file);
	struct blockz_map *old = map_of(before, false), *new = map_of(after, false);
	ck_assert_int_eq(blockz_map_info(new).index, blockz_map_info(old).index);
	blockz_map_free(old);
	blockz_map_free(new);
	assert_reads(format, outcome.file, tiles->edited);
	return outcome.file;
}

/* There is no room: refused in place, and a new file if that is left open. */
static void assert_does_not_fit(const struct blockz_format *format, const struct tiles *tiles, struct bytes file, bool scan)
{
	struct outcome outcome = { 0 };
	struct blockz_fault fault;
	ck_assert_int_eq(edit_file(file, scan, tiles->edits, tiles->edit_count, BLOCKZ_WAY_IN_PLACE, &outcome, &fault),
			 BLOCKZ_UNSUPPORTED);
	ck_assert_msg(strstr(fault.text, "does not fit into its old place") != NULL, "%s", fault.text);
	ck_assert_int_eq(edit_file(file, scan, tiles->edits, tiles->edit_count, BLOCKZ_WAY_AUTO, &outcome, &fault), BLOCKZ_OK);
	ck_assert(outcome.info.is_splice);
	assert_edited(format, outcome.file, tiles->edited);
}

/* Pieces that are edited, in capitals, and how many are encoded again. */
static const struct {
	const char *letters;
	size_t renewed; /* 0: they do not fit */
} borrowings[] = {
	{ "Et", 2 },	  /* at the file's start, from ahead */
	{ "tE", 2 },	  /* at its end, from behind */
	{ "tEt", 2 },
	{ "Eet", 2 },	  /* over one that has nothing to lend */
	{ "tzzE", 2 },	  /* over zeros */
	{ "Zzzt", 2 },	  /* one of several zero pieces */
	{ "tzZZz", 3 },
	{ "EtE", 3 },	  /* two have the same neighbour */
	{ "EtEtE", 5 },
	{ "ET", 2 },	  /* one that is edited itself */
	{ "tErt", 2 },	  /* not over raw bytes, but from the other side */
	{ "Ert", 0 },
	{ "trE", 0 },
	{ "trErt", 0 },
	{ "Eeee", 0 },
	{ "EeeeeeeeeeT", 0 }, /* too far */
};

START_TEST(neighbours_lend_room)
{
	for (size_t i = 0; i < sizeof(borrowings) / sizeof(borrowings[0]); i++)
		for (int no_index = 0; no_index <= _i; no_index++) { /* without one, a .gz is a single piece */
			const struct blockz_format *format = gzip_or_zstd(_i);
			const char *edited = borrowings[i].letters;
			char letters[16] = "";
			for (size_t k = 0; edited[k] != 0; k++)
				letters[k] = (char)(edited[k] | 0x20);
			struct tiles tiles = tiles_new(letters, TILE);
			struct bytes file = tiles_pack(format, &tiles, no_index);
			for (size_t k = 0; edited[k] != 0; k++)
				if (edited[k] != letters[k])
					tiles_edit(&tiles, k, FEW);
			if (borrowings[i].renewed > 0)
				assert_fits(format, &tiles, file, borrowings[i].renewed);
			else
				assert_does_not_fit(format, &tiles, file, false);
		}
}
END_TEST

/* Random edits of random pieces: in place or not, each is right. */
START_TEST(whoever_lends_nothing_else_changes)
{
	const struct blockz_format *format = gzip_or_zstd(_i);
	size_t fitted = 0;
	for (int round = 0; round < (few_rounds ? 5 : 15); round++) {
		const struct kept *mark = kept_so_far();
		char letters[9] = "";
		for (size_t i = 0; i < 8; i++)
			letters[i] = "ttteezzznr"[rnd_below(10)];
		struct tiles tiles = tiles_new(letters, TILE);
		struct bytes file = tiles_pack(format, &tiles, round % 4 == 3);
		struct outcome outcome = { 0 };
		struct blockz_fault fault;
		for (size_t i = 0, count = 1 + (size_t)rnd_below(4); i < count; i++)
			tiles_edit(&tiles, (size_t)rnd_below(8), 1 + (size_t)rnd_below(2 * FEW));
		enum blockz_status status = edit_file(file, round % 4 == 2, tiles.edits, tiles.edit_count, BLOCKZ_WAY_IN_PLACE, &outcome,
						      &fault);
		ck_assert_msg(status == BLOCKZ_OK || status == BLOCKZ_UNSUPPORTED, "%s", fault.text);
		fitted += status == BLOCKZ_OK;
		if (status == BLOCKZ_OK)
			assert_reads(format, outcome.file, tiles.edited);
		forget_since(mark);
	}
	ck_assert_uint_gt(fitted, 0);
}
END_TEST

/* Raw bytes of a piece are overwritten where they are, so it stays there. */
START_TEST(what_is_overwritten_does_not_move)
{
	const struct blockz_format *format = format_named("zstd");
	struct tiles tiles = tiles_new("ent", 512 * KIB);
	struct bytes file = tiles_pack(format, &tiles, true);
	tiles_edit(&tiles, 0, FEW);
	assert_fits(format, &tiles, file, 2);
	tiles_edit(&tiles, 1, FEW);
	assert_does_not_fit(format, &tiles, file, false);
}
END_TEST

/* A neighbour that is damaged lends nothing, and its damage stays to be seen. */
START_TEST(damage_of_neighbours_is_not_laundered)
{
	const struct blockz_format *format = gzip_or_zstd(_i);
	struct tiles tiles = tiles_new("et", TILE);
	struct bytes good = tiles_pack(format, &tiles, false);
	struct blockz_source source = bytes_source(good);
	struct blockz_map *map = map_of(source, false);
	uint64_t first = map->pieces[1].file_off, len = map->pieces[1].file_len;
	blockz_map_free(map);
	tiles_edit(&tiles, 0, FEW);
	assert_fits(format, &tiles, good, 2);
	for (int round = 0; round < 20; round++) {
		const struct kept *mark = kept_so_far();
		struct bytes file = bytes_flipped(good, 8 * first + rnd_below(8 * len));
		struct outcome outcome = { 0 };
		for (int way = BLOCKZ_WAY_AUTO; way <= BLOCKZ_WAY_IN_PLACE; way++)
			if (edit_file(file, false, tiles.edits, 1, (enum blockz_way)way, &outcome, NULL) == BLOCKZ_OK)
				ck_assert_int_ne(verify_file(outcome.file, false, NULL, NULL), BLOCKZ_OK);
		forget_since(mark);
	}
}
END_TEST

/* One short piece, by the strongest level that there is. */
static struct bytes strong_file(const struct blockz_format *format, struct bytes image)
{
	const struct zst_parameter level = { ZSTD_c_compressionLevel, 19 };
	if (strcmp(format->name, "gzip") == 0)
		return libdeflate_pack(image, 12);
	if (strcmp(format->name, "xz") == 0)
		return xz_easy(image, 9 | LZMA_PRESET_EXTREME, LZMA_CHECK_CRC64);
	return zst_compress(image, true, &level, 1);
}

/* Not as much as another level would make of it. */
START_TEST(a_strong_piece_grows_by_little)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 2 * MIB), edited = bytes_copy(image), file = strong_file(format, image);
	const struct blockz_range ranges[] = { { 1000, 1001 }, { 2 * MIB - 1000, 2 * MIB - 999 } };
	struct blockz_edit edits[2];
	struct outcome outcome;
	for (size_t i = 0; i < 2; i++)
		complement(edited, ranges[i]);
	for (size_t i = 0; i < 2; i++)
		edits[i] = edit_from(edited, ranges[i]);
	ck_assert_int_eq(edit_file(file, false, edits, 2, BLOCKZ_WAY_SPLICE, &outcome, NULL), BLOCKZ_OK);
	assert_edited(format, outcome.file, edited);
	ck_assert_uint_eq(outcome.info.renewed.pieces, 1);
	ck_assert_uint_lt(outcome.info.renewed.file_bytes, file.len);
	ck_assert_uint_le(outcome.file.len, file.len + KIB);
}
END_TEST

int main(void)
{
	TCase *c = case_new("anywhere");
	case_add_formats(c, random_edits_equal_those_of_the_plain_image);
	case_add_formats(c, a_strong_piece_grows_by_little);
	case_add_formats(c, small_edits_fit);
	case_add_formats(c, long_zeros_are_edited);
	tcase_add_loop_test(c, long_pieces_that_cannot_be_spliced, 0, 2);
	case_add_formats(c, what_is_there_already_is_not_written);
	case_add_formats(c, a_whole_image_may_differ_everywhere);
	case_add_formats(c, damage_is_never_laundered);
	tcase_add_loop_test(c, neighbours_lend_room, 0, 2);
	tcase_add_loop_test(c, whoever_lends_nothing_else_changes, 0, 2);
	tcase_add_test(c, what_is_overwritten_does_not_move);
	tcase_add_loop_test(c, damage_of_neighbours_is_not_laundered, 0, 2);
	return case_run("anywhere", c);
}
