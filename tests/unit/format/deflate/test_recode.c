/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks whose text was edited, encoded again: zlib decodes them to the new text, and what can stay as it was costs nothing. */
#include "format/deflate/recode.h"

#include <string.h>
#include <zlib.h>

#include "foreign.h"
#include "memory.h"
#include "random.h"
#include "splices.h"

enum { LEN = 60000 };

/* The first block of a stream, taken apart. */
struct subject {
	struct bytes text, stream;
	struct walk_block block;
	struct own_block own;
	struct walk_token tokens[LEN];
	size_t count, len;
};

static struct subject subject;

static void take_apart(struct bytes text, struct bytes file)
{
	static uint8_t room[LEN + 2 * WALK_TEXT_SLACK];
	struct walker *walker;
	struct walk_text out = { room, 0, sizeof(room) };
	struct walk_tokens tokens = { subject.tokens, 0 };
	bool ended;
	subject.text = text;
	subject.stream = (struct bytes){ file.data + 10, file.len - 18 };
	ck_assert_int_eq(walker_new(&walker, NULL), BLOCKZ_OK);
	walker_reset_memory(walker, subject.stream.data, subject.stream.len);
	ck_assert_int_eq(walker_begin(walker, &subject.block, NULL), BLOCKZ_OK);
	struct walk_lens lens = walker_lens(walker, &subject.block);
	ck_assert_int_eq(walker_text(walker, &subject.block, &out, &tokens, &ended, NULL), BLOCKZ_OK);
	ck_assert(ended);
	walker_free(walker);
	block_code_of(&subject.own.code, &lens);
	memcpy(subject.own.header, subject.stream.data, BLOCK_HEADER_MAX);
	subject.own.header_first = 0;
	subject.own.header_count = (unsigned)subject.block.symbols_bit;
	subject.count = tokens.count;
	subject.len = out.len;
}

/* Encodes the block with the new text, and has zlib decode it. */
static uint64_t recoded_bits(struct recoder *recoder, struct bytes edited, bool shortest)
{
	struct edited_text text = {
		.old = subject.text.data, .new = edited.data, .len = subject.len, .tokens = subject.tokens, .token_count = subject.count,
	};
	struct recoding recoding = { .text = &text, .own = &subject.own, .ends = true, .shortest = shortest };
	struct bits bits = { 0 };
	static uint8_t out[LEN];
	bool open = false;
	deflate_recode(recoder, &recoding, &open, &bits);
	ck_assert(!open && !bits.nomem);
	uint64_t count = bits.count;
	bits_put(&bits, 3, 10); /* the end of the stream */
	z_stream z = { .next_in = bits.bytes, .avail_in = (uInt)bits_len(&bits), .next_out = out, .avail_out = sizeof(out) };
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	ck_assert_uint_eq(z.total_out, subject.len);
	ck_assert_mem_eq(out, edited.data, subject.len);
	bits_free(&bits);
	return count;
}

static struct bytes packed(struct bytes text, int i)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
	return i < 5 ? zlib_pack(text, 6, strategies[i]) : libdeflate_pack(text, 4 * (i - 4));
}

/* What has not changed is as long as it was, or shorter. */
START_TEST(no_edit_costs_nothing)
{
	struct bytes text = image_new(IMAGE_TEXT, LEN);
	struct recoder *recoder = recoder_new(LEN);
	take_apart(text, packed(text, _i));
	const uint64_t old = subject.block.end_bit - subject.block.header_bit;
	uint64_t kept = recoded_bits(recoder, text, false), anew = recoded_bits(recoder, text, true);
	ck_assert_uint_le(kept, old);
	ck_assert_uint_le(anew, kept);
	recoder_free(recoder);
}
END_TEST

/* Text comes first, so that the first block, which is what is encoded again, is none that is stored. */
static struct bytes text_and_more(enum image_kind more)
{
	struct bytes image = image_new(more, LEN), text = image_new(IMAGE_TEXT, LEN / 4);
	memcpy(image.data, text.data, text.len);
	return image;
}

START_TEST(edits_are_encoded)
{
	struct bytes text = text_and_more(_i % 2 ? IMAGE_TEXT : IMAGE_DISK);
	struct recoder *recoder = recoder_new(LEN);
	take_apart(text, packed(text, _i));
	for (int i = 0; i < 12; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(text);
		uint64_t start = rnd_below(subject.len), len = 1 + rnd_below(i % 2 ? 64 : 5000);
		struct blockz_range range = { start, start + len < subject.len ? start + len : subject.len };
		edit_range(edited, range);
		recoded_bits(recoder, edited, i % 4 == 3);
		forget_since(mark);
	}
	recoder_free(recoder);
}
END_TEST

/* Bytes that the code lacks are put in a block of their own, before and behind which the code goes on. */
START_TEST(noise_costs_little_more_than_its_bytes)
{
	struct bytes text = image_new(IMAGE_TEXT, LEN), edited = bytes_copy(text);
	struct recoder *recoder = recoder_new(LEN);
	take_apart(text, packed(text, 0));
	rnd_fill(edited.data + 10000, 4096);
	uint64_t old = subject.block.end_bit - subject.block.header_bit;
	ck_assert_uint_le(recoded_bits(recoder, edited, false), old + 8 * (4096 + 200));
	recoder_free(recoder);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("recode");
	tcase_add_loop_test(tcase, no_edit_costs_nothing, 0, 8);
	tcase_add_loop_test(tcase, edits_are_encoded, 0, 8);
	tcase_add_test(tcase, noise_costs_little_more_than_its_bytes);
	return case_run("recode", tcase);
}
