/* SPDX-License-Identifier: BSD-3-Clause */
/* The deflate walker against zlib: streams of zlib and libdeflate, damaged ones, and sources that they are read from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "format/deflate/huffman.h"
#include "memory.h"
#include "random.h"
#include "walked.h"

/* ---- What libraries write ---- */

static int bit_at(const uint8_t *in, uint64_t bit)
{
	return in[bit / 8] >> bit % 8 & 1;
}

static bool token_is_right(const struct walk_token *token, const uint8_t *data, size_t pos, size_t len)
{
	if (token->len > len - pos || (token->dist > 0 ? token->len < 3 : token->len != 1))
		return false;
	for (size_t end = pos + token->len; pos < end; pos++)
		if (data[pos] != data[(ptrdiff_t)pos - token->dist])
			return false;
	return true;
}

/* What tokens stand for is the text from that byte on. */
static void assert_tokens(const struct walk_tokens *tokens, const uint8_t *data, size_t len)
{
	size_t pos = 0, i = 0;
	for (; i < tokens->count && token_is_right(&tokens->list[i], data, pos, len); i++)
		pos += tokens->list[i].len;
	ck_assert_uint_eq(i, tokens->count);
	ck_assert_uint_eq(pos, len);
}

/* The block ends with the code that its lengths give the end. */
static void assert_end_code(const uint8_t *in, const struct walk_block *b, const struct walk_lens *lens)
{
	uint16_t codes[WALK_LITLEN_SYMBOLS];
	huffman_codes(lens->litlen, WALK_LITLEN_SYMBOLS, codes);
	bool same = true;
	for (unsigned i = 0; i < lens->litlen[256]; i++)
		same = same && (codes[256] >> i & 1) == bit_at(in, b->end_bit - lens->litlen[256] + i);
	ck_assert(same);
}

/* Goes through a block in parts of text, with tokens or without; text holds that of the blocks before it. */
static void walk_text(const uint8_t *in, struct walk_block *b, struct walk_text *text, const uint8_t *data)
{
	static struct walk_token list[100000];
	const struct walk_lens lens = walker_lens(walker, b);
	bool ended = false;
	while (!ended) {
		struct walk_tokens tokens = { list, 0 };
		bool wanted = rnd() % 2;
		size_t before = text->len;
		text->room = before + WALK_TEXT_SLACK + rnd() % (rnd() % 2 ? 90000 : 100);
		ck_assert_int_eq(walker_text(walker, b, text, wanted ? &tokens : NULL, &ended, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(text->len, b->out_end);
		ck_assert(ended || text->len + WALK_TEXT_SLACK > text->room);
		ck_assert_mem_eq(text->bytes + before, data + before, text->len - before);
		if (wanted)
			assert_tokens(&tokens, data + before, text->len - before);
	}
	assert_end_code(in, b, &lens);
}

/* The same blocks come out part by part, and their text is the data. */
static void assert_text(const uint8_t *in, size_t len, const uint8_t *data, size_t data_len)
{
	struct walk_text text = { .bytes = malloc(data_len + 2 * WALK_TEXT_SLACK + 100000) };
	walker_reset_memory(walker, in, len);
	for (size_t i = 0; i < walked.count; i++) {
		const struct walk_block *whole = &walked.block[i];
		struct walk_block b;
		ck_assert_int_eq(walker_begin(walker, &b, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(b.header_bit, whole->header_bit);
		if (b.type == WALK_STORED) {
			memcpy(text.bytes + text.len, in + b.payload_off, b.out_end - b.out_start);
			text.len += b.out_end - b.out_start;
		} else {
			ck_assert_uint_eq(b.symbols_bit, whole->symbols_bit);
			ck_assert_uint_eq(b.end_bit, b.symbols_bit);
			walk_text(in, &b, &text, data);
		}
		ck_assert_uint_eq(b.end_bit, whole->end_bit);
		ck_assert_uint_eq(b.out_end, whole->out_end);
	}
	ck_assert_uint_eq(text.len, data_len);
	free(text.bytes);
}

/* A stream that is known to be made of data. */
static void assert_good(const uint8_t *in, size_t len, const uint8_t *data, size_t data_len)
{
	ck_assert(accepted_like_zlib(in, len));
	ck_assert_uint_eq(walked.block[walked.count - 1].out_end, data_len);
	ck_assert(walker_at_end(walker));
	assert_text(in, len, data, data_len);
	for (size_t i = 0; i < walked.count; i++) {
		const struct walk_block *b = &walked.block[i];
		ck_assert_int_eq(b->final, bit_at(in, b->header_bit));
		ck_assert_int_eq(b->type, bit_at(in, b->header_bit + 1) + 2 * bit_at(in, b->header_bit + 2));
		if (b->type == WALK_STORED)
			ck_assert_mem_eq(in + b->payload_off, data + b->out_start, b->out_end - b->out_start);
	}
}

START_TEST(zlib_streams_have_zlibs_edges)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
	const size_t len = 300000, room = 2 * len;
	uint8_t *data = make_data(len), *out = malloc(room);
	size_t cuts[] = { len, 70000, 997 };
	for (int level = 0; level <= 9; level++) {
		for (size_t s = 0; s < 5; s++) {
			for (size_t c = 0; c < 3; c++) {
				size_t n = zlib_stream(data, len, level, c == 1 ? 1 : 8, strategies[s], cuts[c], out,
						       room);
				assert_good(out, n, data, len);
			}
		}
	}
	free(data);
	free(out);
}
END_TEST

START_TEST(libdeflate_streams_have_zlibs_edges)
{
	const size_t sizes[] = { 0, 1, 100, 32767, 32768, 32769, 1 << 20 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i], room = len + len / 8 + 1000;
		uint8_t *data = make_data(len), *out = malloc(room);
		for (int level = 0; level <= 12; level++)
			assert_good(out, libdeflate_stream(data, len, level, out, room), data, len);
		memset(data, 0, len);
		assert_good(out, libdeflate_stream(data, len, 6, out, room), data, len);
		free(data);
		free(out);
	}
}
END_TEST

START_TEST(pieces_end_at_a_block_boundary)
{
	uint8_t *data = make_data(100000), *out = malloc(200000);
	z_stream z = { .next_in = data, .avail_in = 100000, .next_out = out, .avail_out = 200000 };
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FULL_FLUSH), Z_OK);
	walker_reset_memory(walker, out, z.total_out);
	struct walk_block block = { .final = true };
	while (!walker_at_end(walker))
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
	ck_assert(!block.final);
	ck_assert_uint_eq(block.end_bit, z.total_out * 8);
	ck_assert_uint_eq(block.out_end, 100000);
	/* Behind a final block the walk may go on. */
	const uint8_t two[] = { 0x03, 0x0c, 0x00 };
	walker_reset_memory(walker, two, 3);
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(block.end_bit, 10 * i);
		ck_assert(block.final);
	}
	deflateEnd(&z);
	free(data);
	free(out);
}
END_TEST

/* ---- Damage ---- */

START_TEST(single_bit_flips_are_judged_like_zlib)
{
	unsigned refused = 0, cases = 0;
	for (int i = 0; i < 32; i++) {
		size_t len = 20 + rnd() % 500;
		uint8_t *data = make_data(len), out[2000];
		size_t n = i % 2 ? libdeflate_stream(data, len, 6, out, sizeof(out)) :
				   zlib_stream(data, len, 6, 8, i % 4 ? Z_DEFAULT_STRATEGY : Z_FIXED, 100, out,
					       sizeof(out));
		for (size_t bit = 0; bit < n * 8; bit++, cases++) {
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
			refused += !accepted_like_zlib(out, n);
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		free(data);
	}
	ck_assert_uint_gt(cases, 20000);
	ck_assert_uint_gt(refused, cases / 10);
	ck_assert_uint_lt(refused, cases);
}
END_TEST

START_TEST(bit_flips_in_long_streams_are_judged_like_zlib)
{
	const size_t len = 400000, room = 500000;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (int level = 1; level <= 9; level += 4) {
		size_t n = libdeflate_stream(data, len, level, out, room);
		unsigned refused = 0;
		for (int i = 0; i < 250; i++) {
			size_t bit = (size_t)(rnd() % (n * 8));
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
			refused += !accepted_like_zlib(out, n);
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		ck_assert_uint_gt(refused, 0);
		ck_assert(accepted_like_zlib(out, n));
	}
	free(data);
	free(out);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	for (int i = 0; i < 24; i++) {
		size_t len = 1 + rnd() % 600;
		uint8_t *data = make_data(len), out[2000];
		size_t n = i % 2 ? libdeflate_stream(data, len, 9, out, sizeof(out)) :
				   zlib_stream(data, len, 9, 8, Z_DEFAULT_STRATEGY, 150, out, sizeof(out));
		for (size_t cut = 0; cut < n; cut++)
			ck_assert(!accepted_like_zlib(out, cut));
		ck_assert(accepted_like_zlib(out, n));
		free(data);
	}
}
END_TEST

START_TEST(long_streams_are_refused_when_cut)
{
	const size_t len = 500000, room = 600000;
	uint8_t *data = make_data(len), *out = malloc(room);
	size_t n = libdeflate_stream(data, len, 6, out, room);
	for (size_t cut = n - 40; cut < n; cut++)
		ck_assert(!accepted_like_zlib(out, cut));
	for (int i = 0; i < 100; i++)
		ck_assert(!accepted_like_zlib(out, (size_t)(rnd() % n)));
	free(data);
	free(out);
}
END_TEST

START_TEST(random_bytes_are_judged_like_zlib)
{
	for (int i = 0; i < 60000; i++) {
		uint8_t in[120];
		size_t len = rnd() % (sizeof(in) + 1);
		for (size_t k = 0; k < len; k++)
			in[k] = (uint8_t)rnd();
		/* Most would be refused at once: ask for a fixed or dynamic block. */
		if (len > 0)
			in[0] = (uint8_t)((in[0] & 0xf8) | (i % 2 ? 3 : 5));
		accepted_like_zlib(in, len);
	}
}
END_TEST

/* ---- Sources ---- */

struct file {
	const uint8_t *bytes;
	size_t len;
	uint64_t read; /* bytes read so far */
	unsigned calls, fail_at, short_at; /* counted from 1; 0: never */
};

static int file_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct file *file = ctx;
	file->calls++;
	if (file->calls == file->fail_at)
		return EIO;
	ck_assert_uint_le(off, file->len);
	ck_assert_uint_le(len, file->len - off);
	if (file->calls == file->short_at)
		len--;
	memcpy(buf, file->bytes + off, len);
	file->read += len;
	*got_ret = len;
	return 0;
}

static const struct blockz_source_ops file_ops = { .read = file_read };

static struct blockz_source file_source(struct file *file)
{
	return (struct blockz_source){ .ops = &file_ops, .ctx = file, .size = file->len };
}

START_TEST(sources_and_memory_are_walked_alike)
{
	const size_t len = 1 << 20, room = len + len / 4;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (size_t i = 0; i < len; i += 3) /* so that there is more than one buffer of input */
		data[i] ^= (uint8_t)(rnd() % 16);
	for (size_t shift = 0; shift < 70; shift++) {
		/* A stored block of `shift` bytes in front, all of it `shift` bytes into the file. */
		memset(out, 0, 2 * shift + 5);
		out[shift + 1] = (uint8_t)shift;
		out[shift + 3] = (uint8_t)~shift;
		out[shift + 4] = 0xff;
		size_t head = 2 * shift + 5;
		size_t n = head + (shift % 2 ? libdeflate_stream(data, len, 1, out + head, room - head) :
					       zlib_stream(data, len, 1, 8, Z_DEFAULT_STRATEGY, 200000, out + head,
							   room - head));
		ck_assert_uint_gt(n, 300000);
		blocks_of_walker(out + shift, n - shift, &expected);
		ck_assert(expected.ok);
		struct file file = { .bytes = out, .len = n + 10 };
		struct blockz_source source = file_source(&file);
		walker_reset_source(walker, &source, shift, n);
		ck_assert_int_eq(walk_on(&walked, NULL), BLOCKZ_OK);
		assert_same_edges(&walked, &expected);
		for (size_t i = 0; i < walked.count; i++) {
			if (walked.block[i].type == WALK_STORED)
				ck_assert_uint_eq(walked.block[i].payload_off, expected.block[i].payload_off);
		}
		ck_assert(walker_at_end(walker));

		/* Cut, with bytes behind the end that would complete it. */
		struct blockz_fault fault;
		walker_reset_source(walker, &source, shift, n - 1);
		ck_assert_int_eq(walk_on(&walked, &fault), BLOCKZ_DAMAGED);
		ck_assert_uint_eq(fault.offset, n - 1);
	}
	free(data);
	free(out);
}
END_TEST

START_TEST(stored_payload_is_not_read)
{
	enum { COUNT = 200, PAYLOAD = 32768 };
	const size_t len = COUNT * (5 + PAYLOAD) + 2;
	uint8_t *bytes = calloc(1, len);
	for (size_t i = 0; i < COUNT; i++)
		memcpy(bytes + i * (5 + PAYLOAD), "\x00\x00\x80\xff\x7f", 5);
	bytes[len - 2] = 3;
	struct file file = { .bytes = bytes, .len = len };
	struct blockz_source source = file_source(&file);
	walker_reset_source(walker, &source, 0, len);
	ck_assert_int_eq(walk_on(&walked, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(walked.count, COUNT + 1);
	ck_assert_uint_eq(walked.block[COUNT].out_end, (uint64_t)COUNT * PAYLOAD);
	ck_assert_uint_le(file.read, (COUNT + 1) * 64);
	ck_assert_uint_le(file.calls, COUNT + 1);
	/* A payload that lacks one byte. */
	walker_reset_source(walker, &source, 0, len - 3);
	ck_assert_int_eq(walk_on(&walked, NULL), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(walked.count, COUNT - 1);
	free(bytes);
}
END_TEST

START_TEST(read_errors_are_reported)
{
	const size_t len = 1 << 20, room = len + len / 4;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (size_t i = 0; i < len; i += 2)
		data[i] = (uint8_t)rnd();
	size_t n = zlib_stream(data, len, 1, 8, Z_HUFFMAN_ONLY, 300000, out, room);
	unsigned at = 0;
	bool reached = true;
	while (reached) {
		at++;
		for (int shrink = 0; shrink < 2; shrink++) {
			struct file file = { .bytes = out, .len = n };
			*(shrink ? &file.short_at : &file.fail_at) = at;
			struct blockz_source source = file_source(&file);
			struct blockz_fault fault = { .status = BLOCKZ_OK };
			walker_reset_source(walker, &source, 0, n);
			enum blockz_status status = walk_on(&walked, &fault);
			reached = file.calls >= at;
			ck_assert_int_eq(status, reached ? BLOCKZ_FAILED : BLOCKZ_OK);
			ck_assert_int_eq(fault.status, status);
			ck_assert_uint_eq(file.calls, reached ? at : at - 1);
		}
	}
	ck_assert_uint_gt(at, 8);
	free(data);
	free(out);
}
END_TEST

static int zeros_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	(void)ctx;
	(void)off;
	memset(buf, 0, len);
	*got_ret = len;
	return 0;
}

START_TEST(inputs_too_long_for_bit_offsets_are_refused)
{
	static const struct blockz_source_ops ops = { .read = zeros_read };
	struct blockz_source source = { .ops = &ops, .size = UINT64_C(1) << 62 };
	struct walk_block block;
	struct blockz_fault fault;
	walker_reset_source(walker, &source, 0, UINT64_C(1) << 61);
	ck_assert_int_eq(walker_next(walker, &block, NULL, &fault), BLOCKZ_LIMIT);
	walker_reset_source(walker, &source, UINT64_C(1) << 61, (UINT64_C(1) << 61) + 100);
	ck_assert_int_eq(walker_next(walker, &block, NULL, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(fault.offset >> 61, 1);
}
END_TEST

int main(void)
{
	TCase *c = walk_case_new("walk_streams");
	tcase_add_test(c, zlib_streams_have_zlibs_edges);
	tcase_add_test(c, libdeflate_streams_have_zlibs_edges);
	tcase_add_test(c, single_bit_flips_are_judged_like_zlib);
	tcase_add_test(c, bit_flips_in_long_streams_are_judged_like_zlib);
	tcase_add_test(c, every_truncation_is_refused);
	tcase_add_test(c, long_streams_are_refused_when_cut);
	tcase_add_test(c, random_bytes_are_judged_like_zlib);
	tcase_add_test(c, pieces_end_at_a_block_boundary);
	tcase_add_test(c, sources_and_memory_are_walked_alike);
	tcase_add_test(c, stored_payload_is_not_read);
	tcase_add_test(c, read_errors_are_reported);
	tcase_add_test(c, inputs_too_long_for_bit_offsets_are_refused);
	return case_run("walk_streams", c);
}
