/* SPDX-License-Identifier: BSD-3-Clause */
/* Codecs of blocks, their names and their fingerprints; LZO is in test_lzo. */
#include <check.h>
#include <openssl/sha.h>
#include <string.h>
#include <zstd.h>

#include "blockz_delta.h"
#include "codec/lzma_allocator.h"
#include "codec/probe.h"
#include "codec/xz_piece.h"
#include "codecs.h"

static const struct codec_params samples[] = {
	{ CODEC_STORED, { 0 } },
	{ CODEC_ZLIB, { 9, 15, 0 } },
	{ CODEC_ZLIB, { 1, 8, 0 } },
	{ CODEC_ZLIB, { 6, 12, 1 } },
	{ CODEC_ZLIB, { 9, 15, 2 } },
	{ CODEC_ZLIB, { 9, 15, 3 } },
	{ CODEC_ZLIB, { 9, 15, 4 } },
	{ CODEC_LZMA, { 5, 0, 3, 0, 2, 131072 } },
	{ CODEC_LZMA, { 0, 1, 0, 2, 0, 98304 } },
	{ CODEC_XZ, { 6, 0, 3, 0, 2, 131072, BCJ_NONE } },
	{ CODEC_XZ, { 6, 0, 3, 0, 2, 8192, BCJ_X86 } },
	{ CODEC_XZ, { 3, 1, 0, 2, 2, 98304, BCJ_ARM } },
	{ CODEC_ZSTD, { 1 } },
	{ CODEC_ZSTD, { 15 } },
	{ CODEC_LZ4, { 0 } },
	{ CODEC_LZ4, { 12 } },
	{ CODEC_GZIP_PIECE, { 1 } },
	{ CODEC_GZIP_PIECE, { 6 } },
	{ CODEC_XZ_PIECE, { 6, 0, CHECK_CRC64, 1 << 20 } },
	{ CODEC_XZ_PIECE, { 1, 0, CHECK_NONE, 64 << 10 } },
	{ CODEC_XZ_PIECE, { 0, 1, CHECK_CRC32, 1 << 20 } },
	{ CODEC_XZ_PIECE, { 0, 0, CHECK_SHA256, 1 << 20 } },
	{ CODEC_XZ_PIECE, { 1, 0, CHECK_CRC32, 1 << 20, XZ_HEADER_BARE } },
	{ CODEC_XZ_PIECE, { 1, 0, CHECK_CRC64, 1 << 20, 28 } },
	{ CODEC_XZ_PIECE, { 0, 0, CHECK_NONE, 1 << 20, 1024 } },
	{ CODEC_ZSTD_PIECE, { 3, 1 } },
	{ CODEC_ZSTD_PIECE, { 10, 0 } },
	{ CODEC_ZSTD_PIECE, { 1, 1, ZSTD_STREAM_WORKERS } },
	{ CODEC_ZSTD_PIECE, { 3, 0, ZSTD_STREAM_PARTS } },
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static bool refuses_noise(unsigned codec)
{
	return codec >= CODEC_ZLIB && codec < CODEC_LZ4;
}

START_TEST(blocks_come_back)
{
	struct codec_contexts contexts = { 0 };
	const struct codec_params *params = &samples[_i];
	ck_assert(codec_params_are_valid(params));
	assert_round_trips(&contexts, params);
	struct bytes noise = encode_block(&contexts, params, image_new(IMAGE_NOISE, 5000));
	ck_assert_int_eq(noise.len == 0, refuses_noise(params->codec));
	codec_contexts_free(&contexts);
}
END_TEST

START_TEST(damage_is_borne)
{
	struct codec_contexts contexts = { 0 };
	assert_bears_damage(&contexts, &samples[_i]);
	codec_contexts_free(&contexts);
}
END_TEST

/* A table of fragments, of 16 bytes each, as mksquashfs writes it. */
static struct bytes fragment_table(size_t count)
{
	struct bytes table = bytes_new(16 * count);
	const uint8_t file_off[4] = { 0x60, 0x4f, 0x01, 0x00 }, size[4] = { 0x12, 0x34, 0x01, 0x00 };
	for (size_t i = 0; i < table.len; i += 16) {
		memcpy(table.data + i, file_off, sizeof(file_off));
		memcpy(table.data + i + 8, size, sizeof(size));
		table.data[i] ^= (uint8_t)i;
	}
	return table;
}

/* libzstd gets more room than the result may take, as mksquashfs gives it: with just that it fails on what would fit. */
START_TEST(room_may_be_short)
{
	struct codec_contexts contexts = { 0 };
	uint8_t made[8192];
	size_t fit = 0;
	for (size_t count = 1; count < 20; count++) {
		struct bytes table = fragment_table(count);
		size_t len = ZSTD_compress(made, sizeof(made), table.data, table.len, 15);
		struct bytes packed = encode_block(&contexts, &(struct codec_params){ CODEC_ZSTD, { 15 } }, table);
		assert_bytes(packed, (struct bytes){ made, len <= table.len ? len : 0 });
		fit += packed.len > 0;
	}
	ck_assert_uint_gt(fit, 0);
	codec_contexts_free(&contexts);
}
END_TEST

/* One context serves any values in turn, and what it makes depends on them alone. */
START_TEST(contexts_remember_nothing)
{
	struct codec_contexts used = { 0 };
	struct bytes plain = image_new(IMAGE_DISK, 100000), other = image_new(IMAGE_TEXT, 70000);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < SAMPLES; i++) {
			struct codec_contexts fresh = { 0 };
			encode_block(&used, &samples[i], other);
			assert_bytes(encode_block(&used, &samples[i], plain), encode_block(&fresh, &samples[i], plain));
			codec_contexts_free(&fresh);
		}
	}
	codec_contexts_free(&used);
}
END_TEST

/* liblzma's memory: what an encoder gave back is there for the next, as long as that asks for the same. */
START_TEST(memory_is_kept_for_the_same_lengths)
{
	enum { LONG = 1 << 20, SHORT = 1000 };
	struct lzma_allocator_memory memory;
	lzma_allocator_init(&memory);
	const lzma_allocator *a = &memory.allocator;
	void *first = a->alloc(a->opaque, 1, LONG), *second = a->alloc(a->opaque, LONG, 2), *brief = a->alloc(a->opaque, 1, SHORT);
	ck_assert(first != NULL && second != NULL && brief != NULL);
	ck_assert_ptr_null(memory.chunks);
	a->free(a->opaque, NULL);
	a->free(a->opaque, brief);
	ck_assert_ptr_null(memory.chunks);
	a->free(a->opaque, first);
	a->free(a->opaque, second);
	brief = a->alloc(a->opaque, 1, SHORT);
	ck_assert_ptr_eq(a->alloc(a->opaque, 1, LONG), first);
	ck_assert_ptr_eq(a->alloc(a->opaque, 1, 2 * LONG), second);
	ck_assert_ptr_null(memory.chunks);
	a->free(a->opaque, first);
	a->free(a->opaque, second);
	void *third = a->alloc(a->opaque, 3, LONG);
	ck_assert_ptr_nonnull(third);
	ck_assert_ptr_null(memory.chunks);
	ck_assert_ptr_null(a->alloc(a->opaque, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(a->alloc(a->opaque, 1, SIZE_MAX));
	a->free(a->opaque, third);
	a->free(a->opaque, brief);
	lzma_allocator_free(&memory);
	ck_assert_ptr_null(memory.chunks);
}
END_TEST

START_TEST(other_values_are_refused)
{
	static const struct codec_params wrong[] = {
		{ CODEC_STORED, { 1 } },
		{ CODEC_ZLIB, { 0, 15, 0 } }, { CODEC_ZLIB, { 10, 15, 0 } }, { CODEC_ZLIB, { 9, 7, 0 } },
		{ CODEC_ZLIB, { 9, 16, 0 } }, { CODEC_ZLIB, { 9, 15, 5 } }, { CODEC_ZLIB, { 9, 15, 0, 1 } },
		{ CODEC_LZMA, { 10, 0, 3, 0, 2, 8192 } }, { CODEC_LZMA, { 5, 2, 3, 0, 2, 8192 } },
		{ CODEC_LZMA, { 5, 0, 3, 2, 2, 8192 } }, { CODEC_LZMA, { 5, 0, UINT32_MAX, 2, 2, 8192 } },
		{ CODEC_LZMA, { 5, 0, 3, 0, 5, 8192 } }, { CODEC_LZMA, { 5, 0, 3, 0, 2, 4095 } },
		{ CODEC_LZMA, { 5, 0, 3, 0, 2, 8192, BCJ_X86 } }, { CODEC_XZ, { 6, 0, 3, 0, 2, (1 << 20) + 1 } },
		{ CODEC_XZ, { 6, 0, 3, 0, 2, UINT32_MAX } }, { CODEC_XZ, { 6, 0, 3, 0, 2, 8192, BCJ_COUNT } },
		{ CODEC_ZSTD, { 0 } }, { CODEC_ZSTD, { 23 } }, { CODEC_ZSTD, { UINT32_MAX } }, { CODEC_LZ4, { 13 } },
		{ CODEC_LZO, { 5, 0, 0 } }, { CODEC_LZO, { 0, 1, 0 } }, { CODEC_LZO, { 4, 0, 0 } }, { CODEC_LZO, { 4, 10, 0 } },
		{ CODEC_LZO, { 4, 8, 2 } },
		{ CODEC_GZIP_PIECE, { 0 } }, { CODEC_GZIP_PIECE, { 13 } },
		{ CODEC_XZ_PIECE, { 10, 0, 2, 1 << 20 } }, { CODEC_XZ_PIECE, { 6, 2, 2, 1 << 20 } },
		{ CODEC_XZ_PIECE, { 6, 0, CHECK_XXH64_LOW32, 1 << 20 } }, { CODEC_XZ_PIECE, { 6, 0, 2, (64 << 20) + 1 } },
		{ CODEC_XZ_PIECE, { 6, 0, 2, 4096 } }, { CODEC_XZ_PIECE, { 6, 0, 2, 1 << 20, 2 } },
		{ CODEC_XZ_PIECE, { 6, 0, 2, 1 << 20, 30 } }, { CODEC_XZ_PIECE, { 6, 0, 2, 1 << 20, 1028 } },
		{ CODEC_ZSTD_PIECE, { 0, 1 } }, { CODEC_ZSTD_PIECE, { 23, 1 } }, { CODEC_ZSTD_PIECE, { 3, 2 } },
		{ CODEC_ZSTD_PIECE, { 3, 1, 3 } },
		{ CODEC_COUNT, { 0 } }, { 255, { 0 } },
	};
	struct bytes plain = image_new(IMAGE_TEXT, 5000);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct codec_contexts contexts = { 0 };
		struct buffer out = { 0 };
		uint8_t fingerprint[CODEC_FINGERPRINT_LEN];
		size_t len = 0;
		ck_assert_msg(!codec_params_are_valid(&wrong[i]), "%zu", i);
		ck_assert_int_ne(codec_encode(&contexts, &wrong[i], plain.data, plain.len, &out, &len, NULL), BLOCKZ_OK);
		ck_assert_int_eq(codec_fingerprint(NULL, &wrong[i], fingerprint, NULL), BLOCKZ_UNSUPPORTED);
		codec_contexts_free(&contexts);
		buffer_free(&out);
	}
}
END_TEST

START_TEST(what_is_not_there_is_said)
{
	struct codec_contexts contexts = { 0 };
	const struct codec_params lzo = { CODEC_LZO, { 4, 8, 0 } };
	struct bytes packed = image_new(IMAGE_TEXT, 50), plain = { 0 };
	uint8_t fingerprint[CODEC_FINGERPRINT_LEN];
	ck_assert_ptr_null(codec_at(CODEC_COUNT));
	ck_assert_int_eq(decode_block(&contexts, CODEC_COUNT, packed, 100, &plain), BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(decode_block(&contexts, CODEC_LZO, packed, 100, &plain), BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(codec_fingerprint(&(struct codec_env){ 0 }, &lzo, fingerprint, NULL), BLOCKZ_UNSUPPORTED);
	codec_contexts_free(&contexts);
}
END_TEST

START_TEST(names_leave_out_what_is_free)
{
	static const struct {
		struct codec_params params;
		const char *name;
	} cases[] = {
		{ { CODEC_STORED, { 0 } }, "stored" },
		{ { CODEC_ZLIB, { 9, 15, 2 } }, "zlib level=9 strategy=2" },
		{ { CODEC_LZMA, { 5, 1, 3, 0, 2, 8192 } }, "lzma level=5 extreme=1" },
		{ { CODEC_XZ, { 6, 0, 3, 0, 2, 8192, BCJ_ARM64 } }, "xz level=6 extreme=0 bcj=7" },
		{ { CODEC_ZSTD, { 15 } }, "zstd level=15" },
		{ { CODEC_LZO, { 4, 8, 1 } }, "lzo algorithm=4 level=8 optimise=1" },
		{ { CODEC_LZ4, { 12 } }, "lz4 level=12" },
		{ { CODEC_GZIP_PIECE, { 1 } }, "gzip-piece level=1" },
		{ { CODEC_XZ_PIECE, { 6, 0, CHECK_CRC64, 1 << 20 } }, "xz-piece level=6 extreme=0" },
		{ { CODEC_ZSTD_PIECE, { 3, 1 } }, "zstd-piece level=3" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[CODEC_NAME_MAX];
		codec_encoder_name(&cases[i].params, name);
		ck_assert_str_eq(name, cases[i].name);
		for (size_t j = 0; j < i; j++)
			ck_assert(!codec_params_are_equal(&cases[i].params, &cases[j].params));
		struct codec_params copy = cases[i].params;
		ck_assert(codec_params_are_equal(&cases[i].params, &copy));
	}
}
END_TEST

/* As blockz-delta(5) says it is made, which was tried with another program. */
START_TEST(probe_is_for_ever)
{
	static const uint8_t expected[4] = { 0xcb, 0x5c, 0xc6, 0x71 };
	struct bytes probe = bytes_new(512 * KIB), shorter = bytes_new(10001);
	uint8_t digest[SHA256_DIGEST_LENGTH];
	probe_make(probe.data, probe.len);
	probe_make(shorter.data, shorter.len);
	ck_assert_mem_eq(probe.data, shorter.data, shorter.len);
	SHA256(probe.data, probe.len, digest);
	ck_assert_mem_eq(digest, expected, sizeof(expected));
}
END_TEST

static void fingerprint(struct codec_params params, uint8_t fingerprint_ret[CODEC_FINGERPRINT_LEN])
{
	struct blockz_fault fault = { 0 };
	enum blockz_status status = codec_fingerprint(&(struct codec_env){ 0 }, &params, fingerprint_ret, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
}

static bool look_alike(struct codec_params a, struct codec_params b)
{
	uint8_t a_print[CODEC_FINGERPRINT_LEN], b_print[CODEC_FINGERPRINT_LEN];
	fingerprint(a, a_print);
	fingerprint(b, b_print);
	return memcmp(a_print, b_print, sizeof(a_print)) == 0;
}

START_TEST(fingerprints_tell_encoders_apart)
{
	for (uint32_t level = 1; level < 9; level++) {
		ck_assert(!look_alike((struct codec_params){ CODEC_ZLIB, { level, 15, 0 } },
				      (struct codec_params){ CODEC_ZLIB, { level + 1, 15, 0 } }));
		ck_assert(!look_alike((struct codec_params){ CODEC_ZSTD, { level } },
				      (struct codec_params){ CODEC_ZSTD, { level + 1 } }));
		ck_assert(!look_alike((struct codec_params){ CODEC_GZIP_PIECE, { level } },
				      (struct codec_params){ CODEC_GZIP_PIECE, { level + 1 } }));
	}
	for (uint32_t bcj = BCJ_NONE; bcj < BCJ_SPARC; bcj++)
		ck_assert(!look_alike((struct codec_params){ CODEC_XZ, { 1, 0, 3, 0, 2, 8192, bcj } },
				      (struct codec_params){ CODEC_XZ, { 1, 0, 3, 0, 2, 8192, bcj + 1 } }));
	ck_assert(!look_alike((struct codec_params){ CODEC_LZ4, { 0 } }, (struct codec_params){ CODEC_LZ4, { 12 } }));
	for (size_t i = 0; i < SAMPLES; i++)
		ck_assert(look_alike(samples[i], samples[i]));
	/* The size of a dictionary and the like do not show. */
	ck_assert(look_alike((struct codec_params){ CODEC_XZ, { 1, 0, 3, 0, 2, 8192, 0 } },
			     (struct codec_params){ CODEC_XZ, { 1, 0, 0, 2, 0, 131072, 0 } }));
}
END_TEST

struct list {
	struct blockz_encoder items[60];
	size_t count, most;
};

static bool add(void *ctx, const struct blockz_encoder *encoder)
{
	struct list *list = ctx;
	ck_assert_uint_lt(list->count, list->most);
	list->items[list->count++] = *encoder;
	return list->count < list->most;
}

START_TEST(encoders_are_listed_alike)
{
	static const unsigned threads[] = { 1, 2, 8 };
	struct list first = { .most = 60 };
	for (size_t i = 0; i < 3; i++) {
		struct list list = { .most = 60 };
		struct blockz_work work = { .threads = threads[i] };
		ck_assert_int_eq(blockz_encoders(NULL, add, &list, &work, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(list.count, 60);
		if (i == 0)
			first = list;
		ck_assert_mem_eq(list.items, first.items, sizeof(first.items));
	}
	uint8_t print[CODEC_FINGERPRINT_LEN];
	ck_assert_str_eq(first.items[0].name, "stored");
	ck_assert_str_eq(first.items[1].name, "zlib level=1 strategy=0");
	fingerprint((struct codec_params){ CODEC_ZLIB, { 1, 15, 0 } }, print);
	ck_assert_mem_eq(first.items[1].fingerprint, print, sizeof(print));
}
END_TEST

static bool refuse(void *ctx, uint64_t in, uint64_t out)
{
	(void)ctx, (void)in, (void)out;
	return false;
}

START_TEST(listing_can_be_interrupted)
{
	struct list list = { .most = 60 };
	struct blockz_work work = { .threads = 2, .progress = refuse };
	ck_assert_int_eq(blockz_encoders(NULL, add, &list, &work, NULL), BLOCKZ_FAILED);
}
END_TEST

int main(void)
{
	TCase *c = case_new("codec");
	tcase_add_loop_test(c, blocks_come_back, 0, SAMPLES);
	tcase_add_loop_test(c, damage_is_borne, 0, SAMPLES);
	tcase_add_test(c, room_may_be_short);
	tcase_add_test(c, contexts_remember_nothing);
	tcase_add_test(c, memory_is_kept_for_the_same_lengths);
	tcase_add_test(c, other_values_are_refused);
	tcase_add_test(c, what_is_not_there_is_said);
	tcase_add_test(c, names_leave_out_what_is_free);
	tcase_add_test(c, probe_is_for_ever);
	tcase_add_test(c, fingerprints_tell_encoders_apart);
	tcase_add_test(c, encoders_are_listed_alike);
	tcase_add_test(c, listing_can_be_interrupted);
	return case_run("codec", c);
}
