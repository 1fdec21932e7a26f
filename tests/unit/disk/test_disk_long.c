/* SPDX-License-Identifier: BSD-3-Clause */
/* Disks in files whose pieces are too long to be kept as a whole, as other programs write them. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "blockz_disk.h"
#include "counted.h"
#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "growing_store.h"
#include "images.h"

enum { LEN = 7 * MIB + 4321, CACHE = 2 * MIB, THREADS = 4, GZIP = 0, XZ = 1, ZSTD = 2 };

/* ---- A disk ---- */

struct use {
	struct bytes image;
	struct counted file;
	struct blockz_store store;
	struct growing_store growing; /* of the spool */
	struct blockz_store spool;
	unsigned spools; /* how often it was asked for */
	uint64_t spooled; /* bytes that were to go there */
	enum blockz_status no_spool;
	struct blockz_disk_options options;
	struct blockz_disk *disk;
	struct blockz_fault fault;
};

static enum blockz_status give_spool(void *ctx, uint64_t image_bytes, const struct blockz_store **store_ret,
				     struct blockz_fault *fault)
{
	struct use *use = ctx;
	use->spools++;
	use->spooled = image_bytes;
	use->spool = growing_store(&use->growing);
	*store_ret = &use->spool;
	if (use->no_spool != BLOCKZ_OK)
		*fault = (struct blockz_fault){ .status = use->no_spool, .text = "no room for a spool" };
	return use->no_spool;
}

static struct use *use_new(struct bytes file, struct bytes image)
{
	static const struct blockz_store_ops ops = { .read = counted_read };
	struct use *use = keep(sizeof(*use));
	use->image = image;
	use->file.bytes = file;
	use->store = (struct blockz_store){ .ops = &ops, .ctx = &use->file, .size = file.len };
	use->options = (struct blockz_disk_options){ .cache = CACHE, .spool = give_spool, .spool_ctx = use };
	return use;
}

static enum blockz_status use_open(struct use *use)
{
	return blockz_disk_open(&use->store, &use->options, &use->disk, &use->fault);
}

static struct use *use_start(struct bytes file, struct bytes image)
{
	struct use *use = use_new(file, image);
	ck_assert_msg(use_open(use) == BLOCKZ_OK, "%s", use->fault.text);
	return use;
}

static void use_end(struct use *use)
{
	ck_assert_int_eq(blockz_disk_close(use->disk, NULL), BLOCKZ_OK);
	growing_store_free(&use->growing);
}

static void assert_range(struct use *use, uint64_t start, uint64_t len)
{
	const struct kept *mark = kept_so_far();
	struct bytes found = bytes_new((size_t)(len < use->image.len - start ? len : use->image.len - start));
	ck_assert_msg(blockz_disk_read(use->disk, found.data, found.len, start, &use->fault) == BLOCKZ_OK, "%s", use->fault.text);
	assert_bytes(found, (struct bytes){ use->image.data + start, found.len });
	forget_since(mark);
}

/* What is said to be zeros is; returns how much is. */
static uint64_t assert_extents(struct use *use)
{
	uint64_t sum = 0, len;
	for (uint64_t off = 0; off < use->image.len; off += len) {
		bool zeros;
		ck_assert_int_eq(blockz_disk_extent(use->disk, off, use->image.len - off, &zeros, &len, NULL), BLOCKZ_OK);
		ck_assert_uint_gt(len, 0);
		ck_assert(!zeros || bytes_are_zero(use->image.data + off, (size_t)len));
		sum += zeros ? len : 0;
	}
	return sum;
}

/* ---- Files ---- */

static struct bytes by_zstd(struct bytes image)
{
	static const struct zst_parameter parameters[] = { { ZSTD_c_checksumFlag, 1 } };
	return zst_compress(image, true, parameters, 1);
}

/* All of the image in one piece. */
static struct bytes pack(int format, struct bytes image)
{
	return format == GZIP ? zlib_pack(image, 6, Z_DEFAULT_STRATEGY) :
	       format == XZ ? xz_easy(image, 0, LZMA_CHECK_CRC64) : by_zstd(image);
}

/* Text, and some MiB of zeros in it. */
static struct bytes long_image(void)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN);
	memset(image.data + MIB + 100000, 0, 4 * MIB);
	return image;
}

static struct use *start_long(int format)
{
	struct bytes image = long_image();
	return use_start(pack(format, image), image);
}

/* ---- Reading ---- */

START_TEST(all_of_it_is_served)
{
	struct use *use = start_long(_i);
	ck_assert_uint_eq(use->spools, _i == GZIP ? 0 : 1);
	ck_assert_uint_eq(use->spooled, _i == GZIP ? 0 : LEN);
	for (int i = 0; i < 100; i++)
		assert_range(use, rnd_below(LEN), 1 + rnd_below(i % 10 == 0 ? 3 * MIB : 5000));
	assert_range(use, 0, LEN);
	assert_range(use, LEN - 1, 1);
	/* What was copied is known to be zeros, in whole pieces of the copy. */
	ck_assert_uint_ge(assert_extents(use), _i == GZIP ? 0 : 3 * MIB);
	use_end(use);
}
END_TEST

START_TEST(the_file_is_read_once)
{
	struct use *use = start_long(_i);
	/* A scan of a .gz is a pass of its own. */
	size_t start = _i == GZIP ? use->file.read : 0;
	for (uint64_t off = 0; off < LEN; off += 65536)
		assert_range(use, off, 65536);
	ck_assert_uint_le(use->file.read - start, use->file.bytes.len + use->file.bytes.len / 8 + 8192);
	if (_i != GZIP) {
		start = use->file.read;
		for (int i = 0; i < 50; i++)
			assert_range(use, rnd_below(LEN), 1000);
		ck_assert_uint_eq(use->file.read, start);
	}
	use_end(use);
}
END_TEST

/* A frame, or member, or Block, that is short, between long ones. */
START_TEST(long_pieces_among_others)
{
	struct bytes image = long_image(), file = { 0 };
	const size_t cuts[] = { 0, 3 * MIB + 77, 3 * MIB + 5077, LEN - 100, LEN };
	struct xz_stream *stream = xz_begin(LZMA_CHECK_CRC32);
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 0));
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	for (size_t i = 0; i + 1 < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct bytes part = { image.data + cuts[i], cuts[i + 1] - cuts[i] };
		if (_i == XZ)
			xz_put(stream, part, filters);
		else
			file = i == 0 ? pack(_i, part) : bytes_join(file, pack(_i, part));
	}
	struct bytes last = xz_end(stream);
	struct use *use = use_start(_i == XZ ? last : file, image);
	ck_assert_uint_eq(use->spooled, _i == GZIP ? 0 : LEN - 5100);
	for (int i = 0; i < 50; i++)
		assert_range(use, rnd_below(LEN), 1 + rnd_below(8000));
	assert_range(use, 3 * MIB, 10000);
	assert_range(use, 0, LEN);
	assert_extents(use);
	use_end(use);
}
END_TEST

/* The longest piece that is kept as a whole is a little longer in the file if it does not compress. */
START_TEST(noise_is_no_longer_than_text)
{
	const struct blockz_format *format = format_named("zstd");
	struct bytes image = image_new(IMAGE_NOISE, 32 * MIB);
	struct bytes file = pack_image(format, image, (struct blockz_pack_options){ .level = 1, .piece_size = image.len }, NULL);
	struct use *use = use_new(file, image);
	ck_assert_uint_gt(file.len, image.len);
	use->options.cache = image.len;
	ck_assert_msg(use_open(use) == BLOCKZ_OK, "%s", use->fault.text);
	ck_assert_uint_eq(use->spools, 0);
	assert_range(use, 31 * MIB, 10000);
	use_end(use);
}
END_TEST

struct thread {
	pthread_t id;
	struct use *use;
	uint32_t seed;
	bool good;
};

static void *read_here_and_there(void *ctx)
{
	struct thread *self = ctx;
	uint8_t bytes[30000];
	for (int i = 0; i < 100; i++) {
		self->seed = self->seed * 1664525 + 1013904223;
		uint64_t off = (uint64_t)self->seed * (LEN - sizeof(bytes)) >> 32;
		if (blockz_disk_read(self->use->disk, bytes, sizeof(bytes), off, NULL) != BLOCKZ_OK ||
		    memcmp(bytes, self->use->image.data + off, sizeof(bytes)) != 0)
			self->good = false;
	}
	return NULL;
}

START_TEST(threads_read_at_once)
{
	struct use *use = start_long(_i);
	struct thread threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .use = use, .seed = (uint32_t)rnd_below(UINT32_MAX), .good = true };
		ck_assert_int_eq(pthread_create(&threads[i].id, NULL, read_here_and_there, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i].id, NULL), 0);
		ck_assert(threads[i].good);
	}
	use_end(use);
}
END_TEST

/* ---- What is refused, and damage ---- */

START_TEST(without_a_spool_others_than_gzip_are_refused)
{
	struct bytes image = long_image();
	struct use *use = use_new(pack(_i, image), image);
	use->options.spool = NULL;
	ck_assert_int_eq(use_open(use), _i == GZIP ? BLOCKZ_OK : BLOCKZ_LIMIT);
	if (_i == GZIP)
		return use_end(use);
	ck_assert_uint_lt(use->fault.offset, 64);
	ck_assert_ptr_nonnull(strstr(use->fault.text, "can be decoded at once"));
}
END_TEST

START_TEST(there_may_be_no_spool)
{
	struct bytes image = long_image();
	struct use *use = use_new(pack(_i, image), image);
	use->no_spool = BLOCKZ_UNSUPPORTED;
	ck_assert_int_eq(use_open(use), BLOCKZ_UNSUPPORTED);
	ck_assert_str_eq(use->fault.text, "no room for a spool");
}
END_TEST

START_TEST(a_spool_that_fails_fails_the_disk)
{
	struct bytes image = long_image(), file = pack(_i, image);
	enum blockz_status status = BLOCKZ_FAILED;
	for (size_t fail_at = 1; status != BLOCKZ_OK; fail_at++) {
		struct use *use = use_new(file, image);
		use->growing.fail_at = fail_at;
		status = use_open(use);
		if (status == BLOCKZ_OK)
			return use_end(use);
		ck_assert_int_eq(status, BLOCKZ_FAILED);
		ck_assert_uint_ge(use->growing.calls, fail_at);
		ck_assert_ptr_nonnull(strstr(use->fault.text, strerror(EIO)));
		growing_store_free(&use->growing);
	}
}
END_TEST

/* Of three pieces the second does not decode, or does not match its check; it alone cannot be read. */
START_TEST(a_damaged_piece_leaves_others_alone)
{
	const size_t part = 3 * MIB;
	struct bytes image = image_new(IMAGE_TEXT, 3 * part), room = bytes_new(1);
	struct bytes second = by_zstd((struct bytes){ image.data + part, part });
	struct bytes first = by_zstd((struct bytes){ image.data, part });
	struct bytes third = by_zstd((struct bytes){ image.data + 2 * part, part });
	if (_i == 0)
		memset(second.data + second.len / 2, 0xff, 100);
	else
		second.data[second.len - 1] ^= 1;
	struct use *use = use_start(bytes_join(bytes_join(first, second), third), image);
	ck_assert_uint_eq(use->spooled, image.len);
	assert_range(use, 0, part);
	assert_range(use, 2 * part, part);
	for (uint64_t off = part; off < 2 * part; off += part / 3) {
		bool zeros = true;
		uint64_t len = 0;
		ck_assert_int_eq(blockz_disk_read(use->disk, room.data, 1, off, &use->fault), BLOCKZ_DAMAGED);
		ck_assert(use->fault.offset >= first.len && use->fault.offset <= first.len + second.len);
		ck_assert_int_eq(blockz_disk_extent(use->disk, off, 1, &zeros, &len, NULL), BLOCKZ_OK);
		ck_assert(!zeros);
	}
	use_end(use);
}
END_TEST

/* Bytes before the damage are served. */
START_TEST(a_damaged_gzip_is_served_up_to_there)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN), room = bytes_new(1);
	struct use *use = use_start(pack(GZIP, image), image);
	size_t at = use->file.bytes.len / 2;
	for (size_t i = 0; i < 2000; i++)
		use->file.bytes.data[at + i] ^= (uint8_t)(0x55 + i);
	assert_range(use, LEN / 4, 1000);
	ck_assert_int_eq(blockz_disk_read(use->disk, room.data, 1, LEN - 1, &use->fault), BLOCKZ_DAMAGED);
	ck_assert_uint_ge(use->fault.offset, at);
	assert_range(use, LEN / 8, 1000);
	use_end(use);
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk_long");
	tcase_add_loop_test(c, all_of_it_is_served, GZIP, ZSTD + 1);
	tcase_add_loop_test(c, the_file_is_read_once, GZIP, ZSTD + 1);
	tcase_add_loop_test(c, long_pieces_among_others, GZIP, ZSTD + 1);
	tcase_add_test(c, noise_is_no_longer_than_text);
	tcase_add_loop_test(c, threads_read_at_once, GZIP, ZSTD + 1);
	tcase_add_loop_test(c, without_a_spool_others_than_gzip_are_refused, GZIP, ZSTD + 1);
	tcase_add_loop_test(c, there_may_be_no_spool, XZ, ZSTD + 1);
	tcase_add_loop_test(c, a_spool_that_fails_fails_the_disk, XZ, ZSTD + 1);
	tcase_add_loop_test(c, a_damaged_piece_leaves_others_alone, 0, 2);
	tcase_add_test(c, a_damaged_gzip_is_served_up_to_there);
	return case_run("disk_long", c);
}
