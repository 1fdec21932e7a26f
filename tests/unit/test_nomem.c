/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is short: each allocation of each operation fails in turn, alone and with all that follow.  The linker
 * puts the functions below between this program and the allocators (see the Makefile); libraries that allocate by
 * themselves get theirs from here, or have their constructors fail.
 */
#define ZSTD_STATIC_LINKING_ONLY /* contexts with allocators of their own */
#include <errno.h>
#include <libdeflate.h>
#include <lzma.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "judge.h"
#include "range/map.h"
#include "transactions.h"

/* ---- Allocators ---- */

static bool armed, reached, from_then_on;
static size_t calls, fail_at;

static bool fails(void)
{
	if (!armed)
		return false;
	calls++;
	bool failing = calls == fail_at || (from_then_on && calls > fail_at);
	reached |= failing;
	if (failing)
		errno = ENOMEM;
	return failing;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
XXH64_state_t *__real_XXH64_createState(void);
int __real_inflateInit2_(z_streamp stream, int bits, const char *version, int size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
XXH64_state_t *__wrap_XXH64_createState(void);
int __wrap_inflateInit2_(z_streamp stream, int bits, const char *version, int size);

EVP_MD_CTX *__real_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void);
lzma_ret __real_lzma_block_encoder(lzma_stream *stream, lzma_block *block);
lzma_ret __wrap_lzma_block_encoder(lzma_stream *stream, lzma_block *block);
lzma_ret __real_lzma_block_decoder(lzma_stream *stream, lzma_block *block);
lzma_ret __wrap_lzma_block_decoder(lzma_stream *stream, lzma_block *block);
lzma_ret __real_lzma_block_header_decode(lzma_block *block, const lzma_allocator *allocator, const uint8_t *bytes);
lzma_ret __wrap_lzma_block_header_decode(lzma_block *block, const lzma_allocator *allocator, const uint8_t *bytes);
lzma_index *__real_lzma_index_init(const lzma_allocator *allocator);
lzma_index *__wrap_lzma_index_init(const lzma_allocator *allocator);
lzma_ret __real_lzma_index_append(lzma_index *index, const lzma_allocator *allocator, lzma_vli unpadded, lzma_vli len);
lzma_ret __wrap_lzma_index_append(lzma_index *index, const lzma_allocator *allocator, lzma_vli unpadded, lzma_vli len);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

XXH64_state_t *__wrap_XXH64_createState(void)
{
	return fails() ? NULL : __real_XXH64_createState();
}

int __wrap_inflateInit2_(z_streamp stream, int bits, const char *version, int size)
{
	return fails() ? Z_MEM_ERROR : __real_inflateInit2_(stream, bits, version, size);
}

EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void)
{
	return fails() ? NULL : __real_EVP_MD_CTX_new();
}

/* liblzma and libzstd take allocators; what they get here, free() takes back. */

static void *lzma_get(void *opaque, size_t count, size_t size)
{
	(void)opaque;
	return fails() ? NULL : __real_malloc(count * size);
}

static void give_back(void *opaque, void *memory)
{
	(void)opaque;
	free(memory);
}

static void *zstd_get(void *opaque, size_t size)
{
	return lzma_get(opaque, 1, size);
}

static const lzma_allocator lzma_memory = { lzma_get, give_back, NULL };
static const ZSTD_customMem zstd_memory = { zstd_get, give_back, NULL };

lzma_ret __wrap_lzma_block_encoder(lzma_stream *stream, lzma_block *block)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_block_encoder(stream, block);
}

lzma_ret __wrap_lzma_block_decoder(lzma_stream *stream, lzma_block *block)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_block_decoder(stream, block);
}

lzma_ret __wrap_lzma_block_header_decode(lzma_block *block, const lzma_allocator *allocator, const uint8_t *bytes)
{
	(void)allocator;
	return __real_lzma_block_header_decode(block, &lzma_memory, bytes);
}

lzma_index *__wrap_lzma_index_init(const lzma_allocator *allocator)
{
	(void)allocator;
	return __real_lzma_index_init(&lzma_memory);
}

lzma_ret __wrap_lzma_index_append(lzma_index *index, const lzma_allocator *allocator, lzma_vli unpadded, lzma_vli len)
{
	(void)allocator;
	return __real_lzma_index_append(index, &lzma_memory, unpadded, len);
}

ZSTD_CCtx *__wrap_ZSTD_createCCtx(void)
{
	return ZSTD_createCCtx_advanced(zstd_memory);
}

ZSTD_DCtx *__wrap_ZSTD_createDCtx(void)
{
	return ZSTD_createDCtx_advanced(zstd_memory);
}

/* ---- A sink that allocates nothing ---- */

struct fixed_sink {
	struct bytes room;
	size_t len;
};

static int sink_write(void *ctx, const void *buf, size_t len)
{
	struct fixed_sink *self = ctx;
	if (len > self->room.len - self->len)
		return ENOSPC;
	memcpy(self->room.data + self->len, buf, len);
	self->len += len;
	return 0;
}

static int sink_rewrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct fixed_sink *self = ctx;
	if (off > self->len || len > self->len - off)
		return EINVAL;
	memcpy(self->room.data + off, buf, len);
	return 0;
}

static const struct blockz_sink_ops sink_ops = { .write = sink_write, .rewrite = sink_rewrite };

/* ---- What is worked on ---- */

enum { LEN = 6 * 64 * KIB + 1000, LONG = 17 * MIB, EDITS = 2 };

static const struct blockz_format *format;
static const struct blockz_range raw[] = { { 20000, 90000 }, { 300000, 330000 } };
static const struct blockz_work serial = { .threads = 1 };
static struct bytes image, edited, file, edited_file, long_file;
static struct blockz_source image_source, no_source, file_source, long_source;
static struct blockz_map *file_map, *scanned_map, *long_map;
static struct blockz_edit edits[EDITS];
static struct fixed_sink sink;
static struct memory_store store;
static struct sample sample;
/* What an operation has made. */
static struct blockz_map *made_map;
static struct blockz_plan *made_plan;

/* One piece, too long for memory, and not zeros. */
static void compress_long(void)
{
	struct bytes long_image = bytes_new(LONG);
	memset(long_image.data, 'l', LONG);
	if (strcmp(format->name, "gzip") == 0)
		long_file = zlib_pack(long_image, 6, Z_DEFAULT_STRATEGY);
	else if (strcmp(format->name, "xz") == 0)
		long_file = xz_easy(long_image, 0, LZMA_CHECK_SHA256);
	else
		long_file = zst_compress(long_image, true, NULL, 0);
}

static void set_up(void)
{
	const struct blockz_pack_options options = { .piece_size = 64 * KIB, .raw = raw, .raw_count = 2 };
	libdeflate_set_memory_allocator(malloc, free);
	image = image_new(IMAGE_TEXT, LEN);
	memset(image.data + 2 * 64 * KIB, 0, 128 * KIB);
	file = pack_image(format, image, options, NULL);
	edited = bytes_copy(image);
	complement(edited, (struct blockz_range){ 30000, 30010 });
	complement(edited, (struct blockz_range){ 310000, 311000 });
	edits[0] = edit_from(edited, (struct blockz_range){ 25000, 40000 });
	edits[1] = edit_from(edited, (struct blockz_range){ 310000, 311000 });
	edited_file = bytes_copy(file);
	patch_file(edited_file, false, edits, EDITS, NULL, NULL);
	compress_long();
	image_source = bytes_source(image);
	no_source = bytes_source(bytes_new(0));
	file_source = bytes_source(file);
	long_source = bytes_source(long_file);
	file_map = map_of(file_source, false);
	scanned_map = map_of(file_source, true);
	long_map = map_of(long_source, false);
	sink.room = bytes_new(LONG);
	sample_init(&sample);
	/* Stores that have been used once have all the memory they need. */
	memory_store_init(&store, file.data, file.len);
	sample_interrupt(&sample, &store, 3);
	memory_store_reset(&store, file.data, file.len);
}

static void teardown(void)
{
	blockz_map_free(file_map);
	blockz_map_free(scanned_map);
	blockz_map_free(long_map);
	memory_store_free(&store);
	sample_free(&sample);
	blockz_map_free(made_map);
	blockz_plan_free(made_plan);
}

/* ---- Operations, and whether they have done what they say ---- */

struct operation {
	const char *name;
	void (*prepare)(void);
	enum blockz_status (*run)(struct blockz_fault *fault);
	bool (*is_right)(void);
	bool (*is_clean)(void); /* after a failure; NULL: there is nothing that could be otherwise */
};

static void empty_sink(void)
{
	sink.len = 0;
}

static enum blockz_status pack_by(int level, const char *check, struct blockz_fault *fault)
{
	const struct blockz_pack_options options = {
		.format = format->name, .level = level, .check = check, .piece_size = 64 * KIB,
		.raw = raw, .raw_count = 2, .work = serial,
	};
	struct blockz_pack_result result;
	return blockz_pack(&image_source, &(struct blockz_sink){ &sink_ops, &sink }, &options, &result, fault);
}

static enum blockz_status run_pack(struct blockz_fault *fault)
{
	return pack_by(6, NULL, fault);
}

static enum blockz_status run_pack_fast(struct blockz_fault *fault)
{
	return pack_by(1, strcmp(format->name, "xz") == 0 ? "sha256" : NULL, fault);
}

static bool sink_has_a_file(void)
{
	return judge_says(format->name, (struct bytes){ sink.room.data, sink.len }, image);
}

static void drop_map(void)
{
	blockz_map_free(made_map);
	made_map = NULL;
}

static enum blockz_status run_map(struct blockz_fault *fault)
{
	return blockz_map_read(&file_source, NULL, &made_map, fault);
}

static enum blockz_status run_scan(struct blockz_fault *fault)
{
	return blockz_map_read(&file_source, &(struct blockz_map_options){ .scan = true }, &made_map, fault);
}

static bool is_like(const struct blockz_map *map)
{
	return made_map->index == map->index && made_map->piece_count == map->piece_count &&
	       made_map->span_count == map->span_count && made_map->check_count == map->check_count;
}

static bool map_is_right(void)
{
	return is_like(file_map);
}

static bool scan_is_right(void)
{
	return is_like(scanned_map);
}

static bool no_map(void)
{
	return made_map == NULL;
}

static enum blockz_status run_verify(struct blockz_fault *fault)
{
	const struct blockz_verify_options options = { .against = &image_source, .work = serial };
	struct blockz_verify_result result;
	return blockz_verify(&file_source, &options, &result, fault);
}

static void fresh_store(void)
{
	blockz_plan_free(made_plan);
	made_plan = NULL;
	memory_store_reset(&store, file.data, file.len);
}

static enum blockz_status run_patch(struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_status status = blockz_plan_new(&file_source, file_map, edits, EDITS, &serial, &made_plan, fault);
	return status == BLOCKZ_OK ? blockz_plan_apply(made_plan, &table, fault) : status;
}

static bool store_holds(struct bytes bytes)
{
	return memcmp(store.file.seen, bytes.data, bytes.len) == 0 && !memory_store_has_journal(&store);
}

static bool store_is_new(void)
{
	return store_holds(edited_file);
}

static bool store_is_old(void)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	memory_store_reopen(&store);
	return blockz_recover(&table, &recovery, NULL) == BLOCKZ_OK && store_holds(file);
}

static enum blockz_status run_copy(struct blockz_fault *fault)
{
	enum blockz_status status = blockz_plan_new(&file_source, file_map, edits, EDITS, &serial, &made_plan, fault);
	struct blockz_sink out = { &sink_ops, &sink };
	return status == BLOCKZ_OK ? blockz_plan_copy(made_plan, &file_source, &out, fault) : status;
}

static void fresh_plan(void)
{
	fresh_store();
	empty_sink();
}

static bool sink_has_the_edited_file(void)
{
	return sink.len == file.len && memcmp(sink.room.data, edited_file.data, file.len) == 0;
}

static void interrupted_store(void)
{
	sample_interrupt(&sample, &store, 3);
}

static enum blockz_status run_recover(struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	return blockz_recover(&table, &recovery, fault);
}

static bool sample_is_whole(void)
{
	return sample_is_old(&sample, &store) && !memory_store_has_journal(&store);
}

static bool sample_can_be_recovered(void)
{
	memory_store_reopen(&store);
	return run_recover(NULL) == BLOCKZ_OK && sample_is_whole();
}

/* One unit written to twice and another, so that the journal is made and appended to. */
static enum blockz_status run_disk(struct blockz_fault *fault)
{
	static const struct blockz_range writes[] = { { 30000, 30010 }, { 310000, 311000 } };
	const struct blockz_disk_options options = { .cache = MIB };
	struct blockz_store table = memory_store(&store);
	struct blockz_disk *disk = NULL;
	struct blockz_fault later;
	uint8_t bytes[100];
	enum blockz_status status = blockz_disk_open(&table, &options, &disk, fault);
	for (size_t i = 0; i < 2 && status == BLOCKZ_OK; i++)
		status = blockz_disk_write(disk, edited.data + writes[i].start,
					   (size_t)(writes[i].end - writes[i].start), writes[i].start, fault);
	if (status == BLOCKZ_OK)
		status = blockz_disk_read(disk, bytes, sizeof(bytes), 0, fault);
	if (disk == NULL)
		return status;
	enum blockz_status closed = blockz_disk_close(disk, &later);
	if (status == BLOCKZ_OK && closed != BLOCKZ_OK)
		*fault = later;
	return status == BLOCKZ_OK ? closed : status;
}

static bool disk_is_new(void)
{
	return judge_says(format->name, (struct bytes){ store.file.seen, store.file.size }, edited);
}

/* Recovered if need be, it is valid, and each write is there or not. */
static bool disk_is_whole(void)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	size_t len = 0;
	memory_store_reopen(&store);
	if (blockz_recover(&table, &recovery, NULL) != BLOCKZ_OK ||
	    !judge(format->name, (struct bytes){ store.file.seen, store.file.size }, sink.room, &len) || len != LEN)
		return false;
	for (size_t i = 0; i < LEN; i++)
		if (sink.room.data[i] != image.data[i] && sink.room.data[i] != edited.data[i])
			return false;
	return true;
}

/* The power goes before the disk can commit. */
static void interrupted_disk(void)
{
	const struct blockz_disk_options options = { .cache = MIB };
	struct blockz_store table = memory_store(&store);
	struct blockz_disk *disk = NULL;
	fresh_store();
	table = memory_store(&store);
	ck_assert_int_eq(blockz_disk_open(&table, &options, &disk, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_write(disk, edited.data + 30000, 10, 30000, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_write(disk, edited.data + 310000, 1000, 310000, NULL), BLOCKZ_OK);
	store.cut_at = store.step_count + 1;
	ck_assert_int_eq(blockz_disk_close(disk, NULL), BLOCKZ_FAILED);
	memory_store_rewind(&store);
	ck_assert(memory_store_has_journal(&store));
}

static enum blockz_status run_extract(struct blockz_fault *fault)
{
	struct blockz_sink out = { &sink_ops, &sink };
	return blockz_extract(&file_source, file_map, (struct blockz_range){ 0, LEN }, &out, &serial, fault);
}

static enum blockz_status run_extract_long(struct blockz_fault *fault)
{
	struct blockz_sink out = { &sink_ops, &sink };
	return blockz_extract(&long_source, long_map, (struct blockz_range){ 0, LONG }, &out, &serial, fault);
}

static enum blockz_status run_read(struct blockz_fault *fault)
{
	struct blockz_reader *reader = NULL;
	enum blockz_status status = blockz_reader_new(&file_source, file_map, &reader, fault);
	for (; sink.len < LEN && status == BLOCKZ_OK; sink.len += 1000) {
		size_t part = LEN - sink.len < 1000 ? LEN - sink.len : 1000;
		status = blockz_reader_read(reader, sink.room.data + sink.len, part, sink.len, fault);
	}
	blockz_reader_free(reader);
	return status;
}

static bool sink_has_the_image(void)
{
	return sink.len >= LEN && memcmp(sink.room.data, image.data, LEN) == 0;
}

static bool sink_has_the_long_image(void)
{
	return sink.len == LONG && sink.room.data[0] == 'l' &&
	       memcmp(sink.room.data, sink.room.data + 1, LONG - 1) == 0;
}

static enum blockz_status run_verify_long(struct blockz_fault *fault)
{
	const struct blockz_verify_options options = { .work = serial };
	struct blockz_verify_result result;
	return blockz_verify(&long_source, &options, &result, fault);
}

static enum blockz_status run_pack_nothing(struct blockz_fault *fault)
{
	const struct blockz_pack_options options = { .format = format->name, .piece_size = 64 * KIB, .work = serial };
	struct blockz_pack_result result;
	return blockz_pack(&no_source, &(struct blockz_sink){ &sink_ops, &sink }, &options, &result, fault);
}

static bool sink_has_an_empty_file(void)
{
	return judge_says(format->name, (struct bytes){ sink.room.data, sink.len }, (struct bytes){ image.data, 0 });
}

static const struct operation operations[] = {
	{ "pack", empty_sink, run_pack, sink_has_a_file, NULL },
	{ "pack at the fastest level", empty_sink, run_pack_fast, sink_has_a_file, NULL },
	{ "pack nothing", empty_sink, run_pack_nothing, sink_has_an_empty_file, NULL },
	{ "map by the index", drop_map, run_map, map_is_right, no_map },
	{ "map by scanning", drop_map, run_scan, scan_is_right, no_map },
	{ "verify", empty_sink, run_verify, NULL, NULL },
	{ "patch", fresh_store, run_patch, store_is_new, store_is_old },
	{ "patched copy", fresh_plan, run_copy, sink_has_the_edited_file, NULL },
	{ "recover", interrupted_store, run_recover, sample_is_whole, sample_can_be_recovered },
	{ "disk", fresh_store, run_disk, disk_is_new, disk_is_whole },
	{ "recover a disk", interrupted_disk, run_recover, disk_is_new, disk_is_whole },
	{ "extract", empty_sink, run_extract, sink_has_the_image, NULL },
	{ "extract a long piece", empty_sink, run_extract_long, sink_has_the_long_image, NULL },
	{ "verify a long piece", empty_sink, run_verify_long, NULL, NULL },
	{ "read", empty_sink, run_read, sink_has_the_image, NULL },
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]), FORMATS = 3 };

/* One run; true if an allocation failed. */
static bool run_failing(const struct operation *operation, size_t n)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	operation->prepare();
	calls = 0;
	fail_at = n;
	reached = false;
	armed = true;
	enum blockz_status status = operation->run(&fault);
	armed = false;
	if (!reached) {
		ck_assert_msg(status == BLOCKZ_OK, "%s: %s", operation->name, fault.text);
		ck_assert_msg(operation->is_right == NULL || operation->is_right(), "%s", operation->name);
		return false;
	}
	/* What a disk does for later may fail unseen. */
	if (status == BLOCKZ_OK && operation->run == run_disk) {
		ck_assert_msg(operation->is_right(), "%s, %s, allocation %zu", format->name, operation->name, n);
		return true;
	}
	ck_assert_msg(status == BLOCKZ_FAILED, "%s, %s, allocation %zu: status %d", format->name, operation->name, n,
		      status);
	ck_assert_int_eq(fault.status, BLOCKZ_FAILED);
	ck_assert_msg(strstr(fault.text, strerror(ENOMEM)) != NULL, "%s, %s: %s", format->name, operation->name,
		      fault.text);
	ck_assert_msg(operation->is_clean == NULL || operation->is_clean(), "%s, allocation %zu", operation->name, n);
	return true;
}

START_TEST(each_allocation_fails)
{
	size_t n = 1;
	format = format_of(_i / 2 / OPERATIONS);
	set_up();
	from_then_on = _i % 2 != 0;
	while (run_failing(&operations[_i / 2 % OPERATIONS], n))
		n++;
	ck_assert_uint_gt(n, 1);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem");
	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_loop_test(c, each_allocation_fails, 0, 2 * OPERATIONS * FORMATS);
	return case_run("nomem", c);
}
