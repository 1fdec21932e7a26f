/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams as another writer could have made them, with stored bytes that later matches copy or do not: a scan calls raw
 * and patchable exactly what a plain model says, and when all that is overwritten with its complement, zlib finds
 * nothing else changed.  The input is a script of blocks; so each is a valid stream, and matches reach where mutations
 * of bytes would never make them reach.
 */
#include "base/bytes.h"
#include "format/deflate/walk_tables.h"
#include "format/deflate/layout.h"
#include "format/gzip/layout.h"
#include "fuzz.h"

enum { IMAGE_MAX = 1 << 20, EDITS_MAX = 4096, MATCH_MIN = 3, MATCH_MAX = 258, WINDOW = 32768 };

/* Of each image byte: the run of stored blocks that it is in (0: none), and whether a match copies it. */
enum { RUN_MASK = 127, COPIED = 128 };

struct writer {
	struct bytes file, image;
	struct bytes model;
	uint8_t run; /* the present one, or the next */
	size_t member; /* where its image starts */
	uint64_t bits;
	unsigned bit_count;
};

/* ---- Bits ---- */

static void put_bits(struct writer *w, uint32_t value, unsigned n)
{
	w->bits |= (uint64_t)value << w->bit_count;
	for (w->bit_count += n; w->bit_count >= 8; w->bit_count -= 8, w->bits >>= 8)
		bytes_append(&w->file, &(uint8_t){ (uint8_t)w->bits }, 1);
}

static void align(struct writer *w)
{
	put_bits(w, 0, (8 - w->bit_count) % 8);
}

/* Huffman codes start with their highest bit. */
static void put_code(struct writer *w, uint32_t code, unsigned n)
{
	while (n-- > 0)
		put_bits(w, code >> n & 1, 1);
}

/* The fixed code: RFC 1951, section 3.2.6. */
static void put_symbol(struct writer *w, unsigned symbol)
{
	if (symbol < 144)
		put_code(w, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(w, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(w, symbol - 256, 7);
	else
		put_code(w, 0xc0 + symbol - 280, 8);
}

/* ---- Blocks ---- */

static void grow_image(struct writer *w, size_t len, uint8_t model)
{
	bytes_resize(&w->image, w->image.len + len);
	bytes_resize(&w->model, w->image.len);
	if (len > 0)
		memset(w->model.data + w->image.len - len, model, len);
}

static void begin_fixed(struct writer *w, bool final)
{
	w->run = w->run % RUN_MASK + 1;
	put_bits(w, 2 | final, 3);
}

static void put_stored(struct writer *w, size_t len, uint8_t seed, bool final)
{
	put_bits(w, final, 3);
	align(w);
	put_bits(w, (uint32_t)len, 16);
	put_bits(w, (uint32_t)len ^ 0xffff, 16);
	size_t have = w->image.len;
	grow_image(w, len, w->run);
	uint32_t state = seed;
	for (size_t i = have; i < w->image.len; i++) {
		state = state * 1103515245 + 12345;
		w->image.data[i] = (uint8_t)(state >> 24);
	}
	if (len > 0)
		bytes_append(&w->file, w->image.data + have, len);
}

static void put_literal(struct writer *w, uint8_t byte)
{
	put_symbol(w, byte);
	grow_image(w, 1, 0);
	w->image.data[w->image.len - 1] = byte;
}

static void put_match(struct writer *w, unsigned len, size_t distance)
{
	unsigned n = len - MATCH_MIN, extra = n < 8 ? 0 : 29 - (unsigned)__builtin_clz(n), symbol = 0;
	if (len == MATCH_MAX) {
		put_symbol(w, 285);
	} else {
		put_symbol(w, 257 + 4 * extra + (n >> extra));
		put_bits(w, n & ((1U << extra) - 1), extra);
	}
	while (symbol < 29 && walk_dist_base[symbol + 1] <= distance)
		symbol++;
	put_code(w, symbol, 5);
	put_bits(w, (uint32_t)(distance - walk_dist_base[symbol]), symbol < 4 ? 0 : symbol / 2 - 1);
	size_t pos = w->image.len;
	grow_image(w, len, 0);
	for (; pos < w->image.len; pos++) {
		w->image.data[pos] = w->image.data[pos - distance];
		w->model.data[pos - distance] |= COPIED;
	}
}

static void begin_member(struct writer *w)
{
	static const uint8_t head[GZIP_HEAD_LEN] = { GZIP_ID1, GZIP_ID2, GZIP_CM_DEFLATE, [9] = GZIP_OS_UNKNOWN };
	bytes_append(&w->file, head, sizeof(head));
	w->member = w->image.len;
	w->run = w->run % RUN_MASK + 1;
}

static void end_member(struct writer *w)
{
	uint8_t trailer[GZIP_TRAILER_LEN];
	align(w);
	store_le32(trailer, bytes_crc(&w->image, w->member, w->image.len));
	store_le32(trailer + 4, (uint32_t)(w->image.len - w->member));
	bytes_append(&w->file, trailer, sizeof(trailer));
}

/* One block of four bytes of script. */
static void put_block(struct writer *w, const uint8_t op[4])
{
	size_t number = load_le16(op + 2), reach = w->image.len - w->member;
	switch (op[0] % 6) {
	case 0: /* up to a multiple of the payload, as blockz has it, or of any length */
		put_stored(w, op[1] % 2 ? STORED_PAYLOAD - w->image.len % STORED_PAYLOAD : number, op[1], false);
		break;
	case 1: /* a short one, so that runs of them are made */
		put_stored(w, number % 1024, op[1], false);
		break;
	case 2:
		begin_fixed(w, false);
		for (unsigned i = 0; i < op[1] % 16U; i++)
			put_literal(w, (uint8_t)(op[2] + i * op[3]));
		put_symbol(w, 256);
		break;
	case 3: /* one match, at any distance */
	case 4: /* many, all with this distance, or to the same place */
		begin_fixed(w, false);
		for (unsigned i = 0; reach > 0 && i < (op[0] % 6 == 3 ? 1U : op[0] / 6 + 1U); i++) {
			size_t limit = reach < WINDOW ? reach : WINDOW;
			put_match(w, MATCH_MIN + op[1] % (MATCH_MAX - MATCH_MIN + 1U), 1 + number % limit);
			reach = w->image.len - w->member;
			number = op[0] & 128 ? number : number + op[1];
		}
		put_symbol(w, 256);
		break;
	default:
		if (op[1] % 8 != 0) {
			put_stored(w, 0, 0, false);
			break;
		}
		put_stored(w, number % 8192, op[1], true);
		end_member(w);
		begin_member(w);
	}
}

static void write_script(struct writer *w, const uint8_t *script, size_t len)
{
	begin_member(w);
	for (size_t i = 0; i + 4 <= len && w->image.len < IMAGE_MAX; i += 4)
		put_block(w, script + i);
	begin_fixed(w, true);
	put_symbol(w, 256);
	end_member(w);
}

/* ---- The map ---- */

static void check_range(const struct writer *w, const struct blockz_map_range *range, bool long_run)
{
	for (uint64_t i = range->start; i < range->end; i++)
		assert(range->kind == BLOCKZ_RAW ? long_run && range->patchable == !(w->model.data[i] & COPIED)
						 : !long_run);
}

/* Compares each run of equal bytes of the model, the marks of copies apart, with the ranges in it. */
static void check_map(const struct writer *w, const struct blockz_map *map)
{
	struct blockz_map_range range;
	for (size_t start = 0, end = 0; start < w->model.len; start = end) {
		uint8_t run = w->model.data[start] & RUN_MASK;
		while (end < w->model.len && (w->model.data[end] & RUN_MASK) == run)
			end++;
		for (uint64_t pos = start; pos < end; pos = range.end) {
			assert(blockz_map_range_at(map, pos, &range));
			range.start = pos;
			range.end = range.end < end ? range.end : end;
			check_range(w, &range, run != 0 && end - start >= STORED_RUN_MIN);
		}
	}
}

/* ---- The edit ---- */

/* An edit for each patchable range, which complements it; image is what data reads. */
static size_t make_edits(const struct blockz_map *map, const struct blockz_source *data, struct bytes *image,
			 struct blockz_edit *edits)
{
	struct blockz_map_range range;
	size_t count = 0;
	for (uint64_t pos = 0; blockz_map_range_at(map, pos, &range) && count < EDITS_MAX; pos = range.end) {
		if (!range.patchable)
			continue;
		for (uint64_t i = range.start; i < range.end; i++)
			image->data[i] = (uint8_t)~image->data[i];
		edits[count++] = (struct blockz_edit){
			.range = { range.start, range.end }, .data = *data, .data_off = range.start,
		};
	}
	return count;
}

/* The first byte that is not patchable cannot be edited. */
static void check_refused(const struct blockz_source *file, const struct blockz_map *map,
			  const struct blockz_source *data)
{
	struct blockz_map_range range = { .patchable = true };
	struct blockz_plan *plan = NULL;
	uint64_t pos = 0;
	while (range.patchable && blockz_map_range_at(map, pos, &range))
		pos = range.patchable ? range.end : pos;
	if (range.patchable)
		return;
	struct blockz_edit edit = { .range = { pos, pos + 1 }, .data = *data };
	assert(make_plan(file, map, &edit, 1, &plan) == BLOCKZ_UNSUPPORTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct blockz_edit edits[EDITS_MAX];
	struct writer w = { 0 };
	struct edited edited = { .old_file = &w.file, .verdict = ACCEPTED };
	struct blockz_map *map = NULL;
	struct blockz_plan *plan = NULL;
	uint64_t image_size;
	if (size == 0)
		return 0;
	write_script(&w, data + 1, size - 1);
	bytes_append(&edited.image, w.image.data, w.image.len);
	struct blockz_memory file_memory = bytes_memory(&w.file), image_memory = bytes_memory(&edited.image);
	struct blockz_source file = blockz_source_memory(&file_memory), image = blockz_source_memory(&image_memory);
	assert(verify(&file, false, &image_size) == BLOCKZ_OK && image_size == w.image.len);
	assert(read_map(&file, true, &map) == BLOCKZ_OK);
	check_map(&w, map);
	check_refused(&file, map, &image);
	size_t count = make_edits(map, &image, &edited.image, edits);
	assert(make_plan(&file, map, edits, count, &plan) == BLOCKZ_OK);
	check_plan(plan, &edited, data[0] < 128 ? data[0] : UINT64_MAX);
	blockz_plan_free(plan);
	blockz_map_free(map);
	free(edited.image.data);
	free(w.image.data);
	free(w.model.data);
	free(w.file.data);
	return 0;
}
