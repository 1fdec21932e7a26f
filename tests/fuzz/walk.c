/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a deflate stream: the walker and zlib agree on its end, its output's length, and whether it is valid. */
#include "format/deflate/walk.h"
#include "fuzz.h"

struct outcome {
	bool valid;
	uint64_t in_len, out_len; /* of a valid stream */
};

static struct outcome inflate_all(const uint8_t *data, size_t size)
{
	static uint8_t out[1 << 18];
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (uInt)size };
	int error = Z_OK;
	assert(inflateInit2(&z, -15) == Z_OK);
	while (error == Z_OK) {
		z.next_out = out;
		z.avail_out = sizeof(out);
		error = inflate(&z, Z_NO_FLUSH);
	}
	struct outcome outcome = { error == Z_STREAM_END, z.total_in, z.total_out };
	inflateEnd(&z);
	return outcome;
}

static struct outcome walk_all(struct walker *walker, size_t size, struct walk_reach *reach)
{
	struct walk_block block = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	uint64_t bit = 0, out = 0;
	while (status == BLOCKZ_OK && !block.final) {
		status = walker_next(walker, &block, reach, NULL);
		if (status != BLOCKZ_OK)
			break;
		assert(block.header_bit == bit && block.out_start == out);
		assert(block.end_bit > bit && block.end_bit <= 8 * (uint64_t)size && block.out_end >= out);
		assert(reach == NULL || reach->lowest <= block.out_end || reach->lowest == UINT64_MAX);
		bit = block.end_bit;
		out = block.out_end;
	}
	return (struct outcome){ status == BLOCKZ_OK, (bit + 7) / 8, out };
}

static void check_equal(const struct outcome *a, const struct outcome *b)
{
	assert(a->valid == b->valid);
	assert(!a->valid || (a->in_len == b->in_len && a->out_len == b->out_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blockz_memory memory = { data, size };
	struct blockz_source source = blockz_source_memory(&memory);
	struct walk_reach reach = { .lowest = UINT64_MAX, .watch_end = UINT64_MAX };
	struct walker *walker = NULL;
	struct outcome expected = inflate_all(data, size), outcome;
	assert(walker_new(&walker, NULL) == BLOCKZ_OK);
	walker_reset_memory(walker, data, size);
	outcome = walk_all(walker, size, NULL);
	check_equal(&expected, &outcome);
	walker_reset_source(walker, &source, 0, size);
	outcome = walk_all(walker, size, &reach);
	check_equal(&expected, &outcome);
	walker_free(walker);
	return 0;
}
