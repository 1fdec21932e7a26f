/* SPDX-License-Identifier: BSD-3-Clause */
/* An allocation is known by the calls that led to it, so that one that failed often enough in this way need not again. */
#define ZSTD_STATIC_LINKING_ONLY /* contexts with allocators of their own */
#include "short_memory.h"

#include <divsufsort.h>
#include <errno.h>
#include <execinfo.h>
#include <lzma.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { DEPTH_MAX = 64, WAYS_MAX = 10000, ALIKE_MAX = 2 };

/* ---- Allocators ---- */

static bool armed, reached, from_then_on;
static size_t calls, fail_at;

/* The calls by which each allocation of an operation was reached, as a hash. */
static uint64_t ways[WAYS_MAX];
static size_t way_count;
static bool recording;

/* Ways whose allocations have failed already, once for each time; NULL: nothing is remembered. */
static struct failed_ways {
	size_t count;
	uint64_t ways[WAYS_MAX];
} *failed_ways;

static uint64_t way_here(void)
{
	void *frames[DEPTH_MAX];
	int count = backtrace(frames, DEPTH_MAX);
	return XXH3_64bits(frames, (size_t)count * sizeof(frames[0]));
}

static bool fails(void)
{
	if (!armed)
		return false;
	calls++;
	if (recording && way_count < WAYS_MAX)
		ways[way_count++] = way_here();
	bool failing = calls == fail_at || (from_then_on && calls > fail_at);
	reached |= failing;
	if (failing)
		errno = ENOMEM;
	return failing;
}

/*
 * What the linker calls the functions that are wrapped: __wrap_NAME stands here, __real_NAME is the library's.  Some
 * linkers have shared libraries call ours too, which these have to see.
 */
#define WRAPPED(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	__attribute__((visibility("default"))) type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

WRAPPED(void *, calloc, size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

WRAPPED(void *, realloc, void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

/* As mmap() is named where offsets have 64 bits. */
WRAPPED(void *, mmap64, void *at, size_t len, int protection, int flags, int fd, off_t off)
{
	return fails() ? MAP_FAILED : __real_mmap64(at, len, protection, flags, fd, off);
}

/* ---- Constructors, and functions that allocate for the time of a call ---- */

WRAPPED(XXH64_state_t *, XXH64_createState, void)
{
	return fails() ? NULL : __real_XXH64_createState();
}

WRAPPED(XXH3_state_t *, XXH3_createState, void)
{
	return fails() ? NULL : __real_XXH3_createState();
}

WRAPPED(EVP_MD_CTX *, EVP_MD_CTX_new, void)
{
	return fails() ? NULL : __real_EVP_MD_CTX_new();
}

WRAPPED(int, inflateInit2_, z_streamp stream, int bits, const char *version, int size)
{
	return fails() ? Z_MEM_ERROR : __real_inflateInit2_(stream, bits, version, size);
}

WRAPPED(int, deflateInit2_, z_streamp stream, int level, int method, int bits, int memory, int strategy,
	const char *version, int size)
{
	return fails() ? Z_MEM_ERROR
		       : __real_deflateInit2_(stream, level, method, bits, memory, strategy, version, size);
}

WRAPPED(int, uncompress, Bytef *out, uLongf *out_len, const Bytef *in, uLong len)
{
	return fails() ? Z_MEM_ERROR : __real_uncompress(out, out_len, in, len);
}

WRAPPED(saint_t, divsufsort, const sauchar_t *text, saidx_t *suffixes, saidx_t len)
{
	return fails() ? -2 : __real_divsufsort(text, suffixes, len);
}

/* ---- Libraries that take allocators: what they get here, free() takes back ---- */

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

WRAPPED(lzma_ret, lzma_block_encoder, lzma_stream *stream, lzma_block *block)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_block_encoder(stream, block);
}

WRAPPED(lzma_ret, lzma_block_decoder, lzma_stream *stream, lzma_block *block)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_block_decoder(stream, block);
}

WRAPPED(lzma_ret, lzma_alone_encoder, lzma_stream *stream, const lzma_options_lzma *options)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_alone_encoder(stream, options);
}

WRAPPED(lzma_ret, lzma_alone_decoder, lzma_stream *stream, uint64_t limit)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_alone_decoder(stream, limit);
}

WRAPPED(lzma_ret, lzma_stream_decoder, lzma_stream *stream, uint64_t limit, uint32_t flags)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_stream_decoder(stream, limit, flags);
}

WRAPPED(lzma_ret, lzma_raw_decoder, lzma_stream *stream, const lzma_filter *filters)
{
	stream->allocator = &lzma_memory;
	return __real_lzma_raw_decoder(stream, filters);
}

WRAPPED(lzma_ret, lzma_raw_buffer_encode, const lzma_filter *filters, const lzma_allocator *allocator, const uint8_t *in,
	size_t in_len, uint8_t *out, size_t *out_pos, size_t out_len)
{
	(void)allocator;
	return __real_lzma_raw_buffer_encode(filters, &lzma_memory, in, in_len, out, out_pos, out_len);
}

WRAPPED(lzma_ret, lzma_stream_buffer_encode, lzma_filter *filters, lzma_check check, const lzma_allocator *allocator,
	const uint8_t *in, size_t in_len, uint8_t *out, size_t *out_pos, size_t out_len)
{
	(void)allocator;
	return __real_lzma_stream_buffer_encode(filters, check, &lzma_memory, in, in_len, out, out_pos, out_len);
}

WRAPPED(lzma_ret, lzma_stream_buffer_decode, uint64_t *limit, uint32_t flags, const lzma_allocator *allocator,
	const uint8_t *in, size_t *in_pos, size_t in_len, uint8_t *out, size_t *out_pos, size_t out_len)
{
	(void)allocator;
	return __real_lzma_stream_buffer_decode(limit, flags, &lzma_memory, in, in_pos, in_len, out, out_pos, out_len);
}

WRAPPED(lzma_ret, lzma_block_header_decode, lzma_block *block, const lzma_allocator *allocator, const uint8_t *bytes)
{
	(void)allocator;
	return __real_lzma_block_header_decode(block, &lzma_memory, bytes);
}

WRAPPED(lzma_index *, lzma_index_init, const lzma_allocator *allocator)
{
	(void)allocator;
	return __real_lzma_index_init(&lzma_memory);
}

WRAPPED(lzma_ret, lzma_index_append, lzma_index *index, const lzma_allocator *allocator, lzma_vli unpadded, lzma_vli len)
{
	(void)allocator;
	return __real_lzma_index_append(index, &lzma_memory, unpadded, len);
}

WRAPPED(ZSTD_CCtx *, ZSTD_createCCtx, void)
{
	return ZSTD_createCCtx_advanced(zstd_memory);
}

WRAPPED(ZSTD_DCtx *, ZSTD_createDCtx, void)
{
	return ZSTD_createDCtx_advanced(zstd_memory);
}

WRAPPED(size_t, ZSTD_decompress, void *out, size_t room, const void *in, size_t len)
{
	return fails() ? (size_t)-ZSTD_error_memory_allocation : __real_ZSTD_decompress(out, room, in, len);
}

/* ---- A sink that allocates nothing ---- */

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

struct blockz_sink fixed_sink(struct fixed_sink *self)
{
	static const struct blockz_sink_ops ops = { .write = sink_write, .rewrite = sink_rewrite };
	return (struct blockz_sink){ &ops, self };
}

/* ---- Running ---- */

/* One run; true if an allocation failed. */
static bool run_failing(const struct operation *operation, const char *with, size_t n)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	operation->prepare();
	calls = 0;
	fail_at = n;
	reached = false;
	armed = true;
	enum blockz_status status = operation->run(&fault);
	armed = false;
	if (!reached || (status == BLOCKZ_OK && operation->may_succeed)) {
		ck_assert_msg(status == BLOCKZ_OK, "%s, %s: %s", with, operation->name, fault.text);
		ck_assert_msg(operation->is_right == NULL || operation->is_right(), "%s, %s, allocation %zu", with,
			      operation->name, n);
		return reached;
	}
	ck_assert_msg(status == BLOCKZ_FAILED, "%s, %s, allocation %zu: status %d: %s", with, operation->name, n, status,
		      fault.text);
	ck_assert_int_eq(fault.status, BLOCKZ_FAILED);
	ck_assert_msg(strstr(fault.text, strerror(ENOMEM)) != NULL, "%s, %s: %s", with, operation->name, fault.text);
	ck_assert_msg(operation->is_clean == NULL || operation->is_clean(), "%s, %s, allocation %zu", with,
		      operation->name, n);
	return true;
}

void remember_ways(void)
{
	failed_ways = mmap(NULL, sizeof(*failed_ways), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(failed_ways != MAP_FAILED);
}

/* Whether the n-th allocation is like others that have failed; if it is not, it counts as failed from now on. */
static bool is_repeated(size_t n)
{
	if (failed_ways == NULL || n > way_count || failed_ways->count == WAYS_MAX)
		return false;
	uint64_t way = 2 * ways[n - 1] + from_then_on;
	unsigned before = 0;
	for (size_t i = 0; i < failed_ways->count; i++)
		before += failed_ways->ways[i] == way;
	if (before < ALIKE_MAX)
		failed_ways->ways[failed_ways->count++] = way;
	return before >= ALIKE_MAX;
}

void fail_allocations(const struct operation *operation, const char *with, bool all_that_follow)
{
	size_t n = 0;
	way_count = 0;
	from_then_on = false;
	recording = failed_ways != NULL;
	ck_assert(!run_failing(operation, with, 0));
	recording = false;
	ck_assert_msg(calls > 0, "%s, %s: nothing is allocated", with, operation->name);
	from_then_on = all_that_follow;
	do {
		do
			n++;
		while (is_repeated(n));
	} while (run_failing(operation, with, n));
}
