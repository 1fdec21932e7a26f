/* SPDX-License-Identifier: BSD-3-Clause */
/* Long pieces at any offset: as they are, by any thread, and decoded no more often than needed. */
#include "mapped/long_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "counted.h"
#include "files.h"
#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "format/formats.h"
#include "mapped/marks.h"

enum { LEN = 6 * MIB + 12345, CACHE = 2 * LONG_PART };

/* ---- A file in use ---- */

struct use {
	struct bytes image;
	struct counted file;
	struct blockz_source source;
	struct blockz_map *map;
	struct long_reader *reader;
};

static struct use *use_new(struct bytes file, struct bytes image)
{
	static const struct blockz_source_ops ops = { .read = counted_read };
	struct use *use = keep(sizeof(*use));
	use->image = image;
	use->file.bytes = file;
	use->source = (struct blockz_source){ &ops, &use->file, file.len };
	use->map = map_of(use->source, true);
	use->reader = long_reader_new(&use->source, use->map, CACHE);
	ck_assert_ptr_nonnull(use->reader);
	use->file.read = 0;
	return use;
}

static void use_free(struct use *use)
{
	long_reader_free(use->reader);
	blockz_map_free(use->map);
}

/* Reads a range piece by piece. */
static enum blockz_status read_range(struct use *use, struct blockz_range range, uint8_t *out, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (range.start < range.end && status == BLOCKZ_OK) {
		size_t piece = map_find_piece(use->map, range.start);
		uint64_t end = map_piece_end(use->map, piece);
		end = end < range.end ? end : range.end;
		status = long_reader_read(use->reader, piece, range.start, end, out, fault);
		out += end - range.start;
		range.start = end;
	}
	return status;
}

static void assert_range(struct use *use, struct blockz_range range)
{
	const struct kept *mark = kept_so_far();
	struct bytes found = bytes_new((size_t)(range.end - range.start));
	ck_assert_int_eq(read_range(use, range, found.data, NULL), BLOCKZ_OK);
	assert_bytes(found, (struct bytes){ use->image.data + range.start, found.len });
	forget_since(mark);
}

static struct blockz_range range_at(const struct use *use, uint64_t start, uint64_t len)
{
	return (struct blockz_range){ start, start + len < use->image.len ? start + len : use->image.len };
}

static void read_in_order(struct use *use, uint64_t len)
{
	for (uint64_t off = 0; off < use->image.len; off += len)
		assert_range(use, range_at(use, off, len));
}

static void read_backwards(struct use *use, uint64_t len)
{
	for (uint64_t off = use->image.len / len * len;; off -= len) {
		assert_range(use, range_at(use, off, len));
		if (off == 0)
			break;
	}
}

/* ---- Files ---- */

static struct bytes stored_by_hand(struct bytes image)
{
	struct deflate_data data = { .room = 0 };
	for (size_t off = 0, len; off < image.len; off += len) {
		len = 1 + rnd_below(65535);
		len = len < image.len - off ? len : image.len - off;
		deflate_append_stored(&data, image.data + off, len, off + len == image.len);
	}
	return gzip_member(data.bytes, image);
}

static struct bytes by_zlib(struct bytes image, int level)
{
	return zlib_pack(image, level, Z_DEFAULT_STRATEGY);
}

static struct bytes by_zlib_1(struct bytes image)
{
	return by_zlib(image, 1);
}

static struct bytes by_zlib_9(struct bytes image)
{
	return by_zlib(image, 9);
}

static struct bytes in_fixed_blocks(struct bytes image)
{
	return zlib_pack(image, 6, Z_FIXED);
}

static struct bytes by_libdeflate(struct bytes image)
{
	return libdeflate_pack(image, 10);
}

static struct bytes in_members(struct bytes image)
{
	size_t half = image.len / 2 + 1234;
	return bytes_join(by_zlib(((struct bytes){ image.data, half }), 6),
			  by_zlib(((struct bytes){ image.data + half, image.len - half }), 1));
}

static struct bytes by_zstd(struct bytes image)
{
	static const struct zst_parameter parameters[] = { { ZSTD_c_checksumFlag, 1 } };
	return zst_compress(image, true, parameters, 1);
}

static struct bytes by_xz(struct bytes image)
{
	return xz_easy(image, 0, LZMA_CHECK_CRC64);
}

static const struct {
	struct bytes (*pack)(struct bytes image);
	bool marked;
} packs[] = {
	{ by_zlib_1, true }, { by_zlib_9, true }, { in_fixed_blocks, true }, { by_libdeflate, true }, { stored_by_hand, true },
	{ in_members, true }, { by_zstd, false }, { by_xz, false },
};

enum { PACKS = sizeof(packs) / sizeof(packs[0]), ONE_GZIP = 0, ONE_ZSTD = 6 };

static const enum image_kind kinds[] = { IMAGE_DISK, IMAGE_TEXT };
enum { DISK, TEXT, KINDS };

/* Files of images of these kinds by each writer, once for all tests. */
static struct bytes images[KINDS], files[KINDS][PACKS];

static void make_files(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		images[kind] = image_new(kinds[kind], LEN);
		for (int i = 0; i < PACKS; i++)
			files[kind][i] = packs[i].pack(images[kind]);
	}
}

static struct use *use_file(int kind, int i)
{
	return use_new(files[kind][i], images[kind]);
}

/* One whose bytes may be damaged. */
static struct use *use_copy(int kind, int i)
{
	return use_new(bytes_copy(files[kind][i]), images[kind]);
}

static const char *const programs[] = {
	"gzip -1", "gzip -9", "pigz -p 3", "pigz -i", "zstd -1 --format=gzip",
	"7z a -tgzip -si -so dummy -bso0", "zstd -19", "zstd -T0 -3", "xz -0", "7z a -txz -si -so dummy -bso0",
#if defined(__x86_64__) || defined(__aarch64__) /* where there is ISA-L */
	"igzip -0", "igzip -3",
#endif
};

enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static struct bytes by_program(const char *program, struct bytes image)
{
	char command[100];
	snprintf(command, sizeof(command), "{ %s < tree/content > image; }", program);
	return image_by(command, image);
}

/* ---- As it is ---- */

static void read_anywhere(struct use *use, int reads)
{
	for (int i = 0; i < reads; i++) {
		uint64_t start = rnd_below(use->image.len);
		assert_range(use, range_at(use, start, 1 + rnd_below(i % 8 == 0 ? 3 * LONG_PART : 5000)));
	}
	assert_range(use, range_at(use, use->image.len - 1, 1));
	assert_range(use, range_at(use, 0, 1));
}

START_TEST(any_bytes_of_any_file)
{
	struct use *use = use_file(_i % 2, _i / 2);
	read_anywhere(use, packs[_i / 2].marked ? 60 : 8);
	use_free(use);
}
END_TEST

START_TEST(any_bytes_of_what_programs_write)
{
	struct bytes image = image_new(IMAGE_DISK, 2 * MIB + 1);
	struct use *use = use_new(by_program(programs[_i], image), image);
	read_anywhere(use, 10);
	use_free(use);
}
END_TEST

/* Bits, lowest first. */
struct bits {
	struct bytes bytes;
	size_t room;
	unsigned pending, count;
};

static void put_bits(struct bits *bits, unsigned value, unsigned count)
{
	bits->pending |= value << bits->count;
	bits->count += count;
	for (; bits->count >= 8; bits->count -= 8, bits->pending >>= 8) {
		uint8_t byte = (uint8_t)bits->pending;
		bytes_append(&bits->bytes, &bits->room, &byte, 1);
	}
}

/* One block, of a byte and matches of 258 bytes, one behind it. */
START_TEST(one_block_of_much_text)
{
	const uint64_t matches = sanitized ? 500000 : 2600000, len = 1 + matches * 258;
	const struct rlimit limit = { 256 * MIB, 256 * MIB };
	struct bits bits = { .room = 0 };
	uint8_t found[70];
	put_bits(&bits, 3, 3); /* final, fixed codes */
	put_bits(&bits, 0x0c + 0x40, 8); /* the literal 0x02, as RFC 1951 has it: 00110010, from its first bit on */
	for (uint64_t i = 0; i < matches; i++) {
		put_bits(&bits, 0xa3, 8); /* 285: 11000101 */
		put_bits(&bits, 0, 5);
	}
	put_bits(&bits, 0, 7 + 7);
	struct blockz_source source = bytes_source(bits.bytes);
	struct blockz_map *map = map_new(format_by_name("gzip"), bits.bytes.len);
	const struct piece piece = { .file_len = bits.bytes.len, .method = CHECK_CRC32, .ends_stream = 1, .copies = 1 };
	ck_assert_int_eq(map_add_piece(map, &piece, NULL), BLOCKZ_OK);
	map->image_size = len;
	if (!sanitized)
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	struct long_reader *reader = long_reader_new(&source, map, CACHE);
	for (int i = 0; i < 30; i++) {
		uint64_t start = i == 0 ? len - sizeof(found) : rnd_below(len - sizeof(found));
		memset(found, 0, sizeof(found));
		ck_assert_int_eq(long_reader_read(reader, 0, start, start + sizeof(found), found, NULL), BLOCKZ_OK);
		for (size_t j = 0; j < sizeof(found); j++)
			ck_assert_uint_eq(found[j], 2);
	}
	long_reader_free(reader);
	blockz_map_free(map);
}
END_TEST

/* ---- How often it is decoded ---- */

START_TEST(in_order_a_file_is_read_once)
{
	struct use *use = use_file(DISK, _i);
	read_in_order(use, 100001);
	/* All of it; of headers what was looked at to find out where they end, and stored bytes, which few are, another time. */
	ck_assert_uint_ge(use->file.read, use->file.bytes.len - 4096);
	ck_assert_uint_le(use->file.read, use->file.bytes.len + use->file.bytes.len / 8 + 4096);
	use_free(use);
}
END_TEST

/* What is read last makes marks all over the piece. */
START_TEST(behind_a_first_pass_marks_are_near)
{
	struct bytes image = image_new(IMAGE_NOISE, LEN);
	struct use *use = use_new(packs[_i].pack(image), image);
	assert_range(use, range_at(use, LEN - 1, 1));
	assert_range(use, range_at(use, LEN / 4, 1));
	for (int i = 0; i < 40; i++) {
		size_t before = use->file.read;
		assert_range(use, range_at(use, rnd_below(LEN), 1));
		ck_assert_uint_le(use->file.read - before, 2 * MARKS_SPACING_MIN + LONG_PART);
	}
	use->file.read = 0;
	read_backwards(use, 50000);
	ck_assert_uint_le(use->file.read, 3 * use->file.bytes.len);
	use_free(use);
}
END_TEST

/* Steps back within what is kept cost nothing, in any format. */
START_TEST(short_steps_back_cost_nothing)
{
	struct use *use = use_file(DISK, _i);
	assert_range(use, range_at(use, LEN - 512, 512));
	size_t before = use->file.read;
	for (uint64_t step = 512; step < 12000; step += 512)
		assert_range(use, range_at(use, LEN - step, 512));
	ck_assert_uint_eq(use->file.read, before);
	use_free(use);
}
END_TEST

/* ---- By several threads ---- */

enum { THREADS = 4 };

struct thread {
	pthread_t id;
	struct use *use;
	int number;
	uint32_t seed;
	struct bytes room;
	bool good;
};

static bool reads_right(struct thread *self, uint64_t start)
{
	struct blockz_range range = range_at(self->use, start, self->room.len);
	return read_range(self->use, range, self->room.data, NULL) == BLOCKZ_OK &&
	       memcmp(self->room.data, self->use->image.data + start, (size_t)(range.end - range.start)) == 0;
}

static void *read_here_and_there(void *ctx)
{
	struct thread *self = ctx;
	for (int i = 0; i < 60; i++) {
		self->seed = self->seed * 1664525 + 1013904223;
		if (!reads_right(self, (uint64_t)self->seed * LEN >> 32))
			self->good = false;
	}
	return NULL;
}

/* As nbdcopy does: each thread takes its share of a pass. */
static void *read_a_share(void *ctx)
{
	struct thread *self = ctx;
	for (uint64_t off = (uint64_t)self->number * self->room.len; off < LEN; off += THREADS * self->room.len)
		if (!reads_right(self, off))
			self->good = false;
	return NULL;
}

START_TEST(threads_read_at_once)
{
	static void *(*const bodies[])(void *) = { read_here_and_there, read_a_share };
	struct use *use = use_file(DISK, _i % PACKS);
	struct thread threads[THREADS];
	if (!packs[_i % PACKS].marked && _i < PACKS)
		return use_free(use); /* right as well, but each of its reads is a pass */
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){
			.use = use, .number = i, .seed = (uint32_t)rnd_below(UINT32_MAX), .room = bytes_new(70000), .good = true,
		};
		ck_assert_int_eq(pthread_create(&threads[i].id, NULL, bodies[_i / PACKS], &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i].id, NULL), 0);
		ck_assert(threads[i].good);
	}
	use_free(use);
}
END_TEST

/* ---- Damage, and files that cannot be read ---- */

/* What is said by who decodes all of the first piece in order; BLOCKZ_UNKNOWN: there is no damage that can be seen. */
static uint64_t damage_of(const struct use *use)
{
	struct blockz_fault fault = { .offset = BLOCKZ_UNKNOWN };
	const uint8_t *bytes;
	size_t len = 1;
	void *cursor = use->map->format->cursor_new(&use->source, use->map->window_max);
	enum blockz_status status =
		use->map->format->cursor_start(cursor, &use->map->pieces[0], map_piece_end(use->map, 0), &fault);
	while (status == BLOCKZ_OK && len > 0)
		status = use->map->format->cursor_next(cursor, &bytes, &len, &fault);
	ck_assert(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED);
	use->map->format->cursor_free(cursor);
	return fault.offset;
}

START_TEST(damage_is_told_from_where_it_is_on)
{
	struct bytes byte = bytes_new(1);
	struct use *use = use_copy(TEXT, _i);
	const struct piece *piece = &use->map->pieces[0];
	uint64_t end = map_piece_end(use->map, 0), at = piece->file_off + piece->file_len / 2;
	struct blockz_fault fault = { 0 };
	for (size_t i = 0; i < 2000; i++)
		use->file.bytes.data[at + i] ^= (uint8_t)(0x55 + i);
	uint64_t off = damage_of(use);
	if (packs[_i].pack != stored_by_hand)
		ck_assert_uint_ge(off, at - 128 * KIB); /* a block's beginning */
	for (int i = 0; i < 3 && off != BLOCKZ_UNKNOWN; i++) {
		assert_range(use, range_at(use, end / 4 - (uint64_t)i * 300000, 1000));
		ck_assert_int_eq(read_range(use, range_at(use, end - 1, 1), byte.data, &fault), BLOCKZ_DAMAGED);
		ck_assert_uint_eq(fault.offset, off);
	}
	use_free(use);
}
END_TEST

/* A check is compared by who reads the end, and has read all that is before. */
START_TEST(a_check_that_does_not_match_is_told_at_the_end)
{
	struct bytes byte = bytes_new(1);
	struct use *use = use_copy(TEXT, _i);
	const struct piece *piece = &use->map->pieces[0];
	use->file.bytes.data[piece->file_off + piece->file_len - 1] ^= 1;
	assert_range(use, range_at(use, 0, LEN - 2 * LONG_PART)); /* who decodes the last bytes does so a little ahead */
	ck_assert_int_eq(read_range(use, range_at(use, LEN - 1, 1), byte.data, NULL), BLOCKZ_DAMAGED);
	use_free(use);
}
END_TEST

/* After an error of the file everything can be read. */
START_TEST(reads_that_failed_can_be_made_again)
{
	struct bytes image = images[DISK], room = bytes_new(LEN);
	struct flaky_source flaky = { .bytes = files[DISK][_i] };
	struct blockz_source source = flaky_source(&flaky);
	struct blockz_map *map = map_of(source, true);
	enum blockz_status status = BLOCKZ_FAILED;
	for (unsigned fail_at = 1; status != BLOCKZ_OK; fail_at += 3) {
		struct long_reader *reader = long_reader_new(&source, map, CACHE);
		flaky.reads = 0;
		flaky.fail_at = fail_at;
		status = long_reader_read(reader, 0, 0, map_piece_end(map, 0), room.data, NULL);
		ck_assert_int_eq(status, flaky.reads >= fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
		memset(room.data, 0, room.len);
		flaky.fail_at = 0;
		ck_assert_int_eq(long_reader_read(reader, 0, 0, map_piece_end(map, 0), room.data, NULL), BLOCKZ_OK);
		ck_assert_mem_eq(room.data, image.data, (size_t)map_piece_end(map, 0));
		long_reader_free(reader);
	}
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("long_reader");
	tcase_add_unchecked_fixture(c, make_files, NULL);
	tcase_add_loop_test(c, any_bytes_of_any_file, 0, 2 * PACKS);
	tcase_add_loop_test(c, any_bytes_of_what_programs_write, 0, PROGRAMS);
	tcase_add_test(c, one_block_of_much_text);
	tcase_add_loop_test(c, in_order_a_file_is_read_once, 0, PACKS);
	tcase_add_loop_test(c, behind_a_first_pass_marks_are_near, ONE_GZIP, ONE_ZSTD);
	tcase_add_loop_test(c, short_steps_back_cost_nothing, 0, PACKS);
	tcase_add_loop_test(c, threads_read_at_once, 0, 2 * PACKS);
	tcase_add_loop_test(c, damage_is_told_from_where_it_is_on, 0, PACKS);
	tcase_add_loop_test(c, a_check_that_does_not_match_is_told_at_the_end, ONE_ZSTD, PACKS);
	tcase_add_loop_test(c, reads_that_failed_can_be_made_again, 0, PACKS);
	return case_run("long_reader", c);
}
