/* SPDX-License-Identifier: BSD-3-Clause */
/* Deltas made by hand, applied. */
#include <errno.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/checked.h"
#include "blockz_delta.h"
#include "delta/file/old_space.h"
#include "delta/file/write.h"
#include "images.h"
#include "memory.h"
#include "random.h"

enum { STORED = 2, ENCODERS, BLOCK_LEN = 20000 };

/* ---- OLD, NEW and a delta between them ---- */

struct scene {
	struct bytes old, new, delta;
	struct bytes space; /* of OLD: see delta/file/delta.h */
	struct delta_head head;
	struct delta_old_blocks old_blocks;
	struct section section; /* the one that is being made */
	struct delta_writer *writer;
	struct growing_sink sink;
	uint64_t since_block; /* bytes of the stream */
	struct codec_contexts contexts;
};

static void sha256(struct bytes bytes, uint8_t digest[32])
{
	ck_assert_int_eq(EVP_Digest(bytes.data, bytes.len, digest, NULL, EVP_sha256(), NULL), 1);
}

static struct bytes append(struct bytes bytes, const void *more, size_t len)
{
	struct bytes copy = bytes_new(len);
	if (len > 0)
		memcpy(copy.data, more, len);
	return bytes_join(bytes, copy);
}

/* By an encoder, or stored where it does not get shorter by it. */
static struct bytes encoded(struct scene *scene, unsigned *encoder, struct bytes plain)
{
	struct buffer out = { 0 };
	size_t len = 0;
	struct blockz_fault fault;
	enum blockz_status status = codec_encode(&scene->contexts, &scene->head.encoders[*encoder].params, plain.data,
						 plain.len, &out, &len, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	struct bytes result = append((struct bytes){ 0 }, out.bytes, len);
	buffer_free(&out);
	if (len > 0)
		return result;
	*encoder = STORED;
	return bytes_copy(plain);
}

static void add_encoder(struct scene *scene, struct codec_params params)
{
	static const struct codec_env env = { .lzo = NULL };
	struct delta_encoder *encoder = &scene->head.encoders[scene->head.encoder_count++];
	encoder->params = params;
	ck_assert_int_eq(codec_fingerprint(&env, &params, encoder->fingerprint, NULL), BLOCKZ_OK);
}

/* Plain bytes and blocks of all encoders in turn, with some bytes that do not count behind them. */
static void make_old(struct scene *scene, size_t blocks, size_t block_len)
{
	struct bytes plain = image_new(IMAGE_TEXT, blocks * block_len);
	struct bytes decoded = { 0 };
	scene->old_blocks.items = keep((blocks + 1) * sizeof(*scene->old_blocks.items));
	for (size_t i = 0; i < blocks; i++) {
		struct bytes part = bytes_copy((struct bytes){ plain.data + i * block_len, block_len - i % 7 });
		unsigned encoder = i % ENCODERS;
		struct bytes block = encoded(scene, &encoder, part);
		scene->old = bytes_join(scene->old, image_new(IMAGE_DISK, i % 3 * 1000));
		scene->old_blocks.items[scene->old_blocks.count++] = (struct delta_old_block){
			.file_off = scene->old.len, .plain_len = (uint32_t)part.len,
			.file_len = (uint32_t)block.len & 0x3ffffff,
			.codec = scene->head.encoders[encoder].params.codec & 0x3f,
		};
		scene->old = bytes_join(scene->old, block);
		decoded = bytes_join(decoded, part);
	}
	scene->head.old_size = scene->old.len;
	sha256(scene->old, scene->head.old_sha256);
	scene->space = bytes_join(scene->old, decoded);
	scene->old = bytes_join(scene->old, image_new(IMAGE_DISK, 3000));
}

static struct scene *scene_of(size_t blocks, size_t block_len)
{
	struct scene *scene = keep(sizeof(*scene));
	add_encoder(scene, (struct codec_params){ CODEC_ZLIB, { [ZLIB_LEVEL] = 9, [ZLIB_WINDOW] = 15 } });
	add_encoder(scene, (struct codec_params){ CODEC_ZSTD, { [ZSTD_LEVEL] = 5 } });
	add_encoder(scene, (struct codec_params){ CODEC_STORED, { 0 } });
	strcpy(scene->head.old_container, "by hand");
	strcpy(scene->head.note, "none");
	make_old(scene, blocks, block_len);
	return scene;
}

static struct scene *scene_new(size_t blocks)
{
	return scene_of(blocks, BLOCK_LEN);
}

/* One op of the section, and the bytes that it makes, returned. */
static struct bytes scene_op(struct scene *scene, unsigned kind, uint64_t old_off, size_t len)
{
	struct section *section = &scene->section;
	struct bytes made = bytes_new(len), brought = image_new(IMAGE_TEXT, len + 1);
	uint8_t **to[OP_COUNT] = { NULL, &section->diff, &section->extra, &section->packed };
	size_t *to_len[OP_COUNT] = { NULL, &section->diff_len, &section->extra_len, &section->packed_len };
	brought.len = len;
	for (size_t i = 0; i < len && kind == OP_ADD; i++)
		brought.data[i] = rnd_below(50) == 0 ? (uint8_t)rnd() : 0;
	for (size_t i = 0; i < len; i++)
		made.data[i] = kind == OP_COPY ? scene->space.data[old_off + i]
			       : kind == OP_ADD ? (uint8_t)(scene->space.data[old_off + i] + brought.data[i])
						: brought.data[i];
	if (kind != OP_COPY) {
		struct bytes joined = bytes_join((struct bytes){ *to[kind], *to_len[kind] }, brought);
		*to[kind] = joined.data;
		*to_len[kind] = joined.len;
	}
	struct op op = { .len = len, .old_off = old_off, .kind = (uint8_t)kind };
	struct bytes ops = append((struct bytes){ (uint8_t *)section->ops, section->op_count * sizeof(op) }, &op, sizeof(op));
	section->ops = (struct op *)ops.data;
	section->op_count++;
	section->stream_len += len;
	return made;
}

static void scene_verbatim(struct scene *scene, struct bytes made)
{
	scene->new = bytes_join(scene->new, made);
	scene->since_block += made.len;
}

/* The bytes that the last ops have made are one block of NEW. */
static void scene_block(struct scene *scene, unsigned encoder, struct bytes made)
{
	struct section *section = &scene->section;
	struct bytes block = encoded(scene, &encoder, made);
	struct delta_new_block item = {
		.before = scene->since_block, .plain_len = (uint32_t)made.len, .file_len = (uint32_t)block.len,
		.encoder = (uint8_t)encoder,
	};
	struct bytes blocks = append((struct bytes){ (uint8_t *)section->blocks, section->block_count * sizeof(item) },
				     &item, sizeof(item));
	section->blocks = (struct delta_new_block *)blocks.data;
	section->block_count++;
	scene->since_block = 0;
	scene->new = bytes_join(scene->new, block);
}

static void finish(struct scene *scene, struct section *sections, size_t count)
{
	struct blockz_sink sink = growing_sink(&scene->sink);
	scene->head.new_size = scene->new.len;
	sha256(scene->new, scene->head.new_sha256);
	ck_assert_int_eq(delta_writer_new(&sink, &scene->head, &scene->old_blocks, 1, &scene->writer, NULL), BLOCKZ_OK);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(delta_write_sections(scene->writer, &sections[i], 1, NULL), BLOCKZ_OK);
	ck_assert_int_eq(delta_write_end(scene->writer, NULL), BLOCKZ_OK);
	delta_writer_free(scene->writer);
	codec_contexts_free(&scene->contexts);
	scene->delta = scene->sink.bytes;
}

static struct section cut_section(struct scene *scene)
{
	struct section section = scene->section;
	scene->section = (struct section){ 0 };
	scene->since_block = 0;
	return section;
}

/* A range of OLD's space that does not cross its middle. */
static uint64_t random_place(const struct scene *scene, size_t *len)
{
	uint64_t middle = scene->head.old_size, behind = scene->space.len - middle;
	bool of_file = behind == 0 || rnd_below(3) == 0;
	uint64_t start = of_file ? 0 : middle, room = of_file ? middle : behind;
	*len = (size_t)min(*len, room);
	return start + rnd_below(room - *len + 1);
}

static struct bytes random_run(struct scene *scene, size_t len_max, size_t ops)
{
	struct bytes made = { 0 };
	for (size_t i = 0; i < ops; i++) {
		size_t len = 1 + (size_t)rnd_below(len_max);
		unsigned kind = (unsigned)rnd_below(OP_COUNT);
		uint64_t off = random_place(scene, &len);
		made = bytes_join(made, scene_op(scene, kind, off, len));
	}
	return made;
}

/* Sections of blocks and bytes between them, made by all kinds of ops. */
static struct scene *random_scene(size_t old_blocks, size_t section_count, size_t steps, size_t len_max)
{
	struct section sections[8];
	struct scene *scene = scene_new(old_blocks);
	ck_assert_uint_le(section_count, 8);
	for (size_t i = 0; i < section_count; i++) {
		for (size_t j = 0; j < steps; j++) {
			struct bytes made = random_run(scene, len_max, 1 + rnd_below(6));
			if (rnd_below(3) == 0)
				scene_verbatim(scene, made);
			else
				scene_block(scene, (unsigned)rnd_below(ENCODERS), made);
		}
		sections[i] = cut_section(scene);
	}
	finish(scene, sections, section_count);
	return scene;
}

/* ---- Applying it ---- */

static enum blockz_status merge(struct blockz_source old, struct blockz_source delta, struct growing_sink *sink,
				struct blockz_work work, struct blockz_fault *fault)
{
	struct blockz_sink out = growing_sink(sink);
	struct blockz_merge_options options = { .work = work };
	*fault = (struct blockz_fault){ .text = "" };
	enum blockz_status status = blockz_merge(&old, &delta, &out, &options, fault);
	ck_assert_int_eq(fault->status, status);
	return status;
}

static void assert_merges(const struct scene *scene, unsigned threads)
{
	struct growing_sink sink = { .calls = 0 };
	struct blockz_fault fault;
	enum blockz_status status = merge(bytes_source(scene->old), bytes_source(scene->delta), &sink,
					  (struct blockz_work){ .threads = threads }, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	assert_bytes(sink.bytes, scene->new);
}

static void assert_refused(const struct scene *scene, enum blockz_status expected, const char *text, bool at_once)
{
	for (unsigned threads = 1; threads <= 8; threads *= threads == 2 ? 4 : 2) {
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		enum blockz_status status = merge(bytes_source(scene->old), bytes_source(scene->delta), &sink,
						  (struct blockz_work){ .threads = threads }, &fault);
		ck_assert_msg(status == expected, "status %d: %s", (int)status, fault.text);
		ck_assert_msg(strstr(fault.text, text) != NULL, "%s", fault.text);
		ck_assert(!at_once || sink.calls == 0);
	}
}

/* ---- Tests ---- */

START_TEST(all_ops_on_any_number_of_threads)
{
	for (int round = 0; round < (sanitized ? 2 : 6); round++) {
		struct scene *scene = random_scene(rnd_below(30), rnd_below(4), 12, round % 2 == 0 ? 300 : 5000);
		assert_merges(scene, 1);
		assert_merges(scene, 2);
		assert_merges(scene, 8);
	}
}
END_TEST

/* Longer than what is made at once. */
START_TEST(long_ops)
{
	struct scene *scene = scene_new(25);
	uint64_t middle = scene->head.old_size, behind = scene->space.len - middle;
	scene_verbatim(scene, scene_op(scene, OP_COPY, middle, (size_t)behind));
	scene_verbatim(scene, scene_op(scene, OP_ADD, 0, (size_t)middle));
	scene_verbatim(scene, scene_op(scene, OP_ADD, middle, (size_t)behind));
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 300000));
	struct bytes first = scene_op(scene, OP_COPY, middle + 5, (size_t)behind - 5);
	scene_block(scene, 1, bytes_join(first, scene_op(scene, OP_PACKED, 0, 100000)));
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	assert_merges(scene, 1);
	assert_merges(scene, 2);
	assert_merges(scene, 8);
}
END_TEST

/* More than a part holds at a time. */
START_TEST(ops_of_one_byte)
{
	struct scene *scene = scene_new(4);
	struct bytes made = bytes_new(9000);
	scene->section.ops = keep(made.len * sizeof(struct op));
	for (size_t i = 0; i < made.len; i++) {
		uint64_t off = rnd_below(scene->space.len);
		scene->section.ops[i] = (struct op){ .len = 1, .old_off = off, .kind = i % 2 == 0 ? OP_COPY : OP_ADD };
		made.data[i] = (uint8_t)(scene->space.data[off] + (i % 2 == 0 ? 0 : 7));
	}
	scene->section.op_count = scene->section.stream_len = made.len;
	scene->section.diff_len = made.len / 2;
	scene->section.diff = bytes_new(made.len / 2).data;
	memset(scene->section.diff, 7, made.len / 2);
	scene_block(scene, 0, made);
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	assert_merges(scene, 1);
	assert_merges(scene, 8);
}
END_TEST

static uint64_t block_place(const struct scene *scene, size_t block)
{
	uint64_t place = scene->head.old_size;
	for (size_t i = 0; i < block; i++)
		place += scene->old_blocks.items[i].plain_len;
	return place;
}

/* The reads of OLD beside those for its digest. */
static unsigned count_decodes(const struct scene *scene)
{
	struct flaky_source self = { .bytes = scene->old };
	struct blockz_source old = flaky_source(&self), delta = bytes_source(scene->delta);
	struct blockz_merge_options options = { .work = { .threads = 1 } };
	ck_assert_int_eq(blockz_merge_check(&old, &delta, &options, NULL), BLOCKZ_OK);
	unsigned for_digest = self.reads;
	self.reads = 0;
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_OK);
	return self.reads - for_digest;
}

/*
 * Parts that go around OLD's blocks, more than are kept: two jobs of 8, each of which has the blocks decoded once, and uses
 * what is there first.
 */
START_TEST(blocks_are_decoded_once_for_a_job)
{
	enum { LEN = 1 << 20, COUNT = CLIENT_CACHE / LEN + 4, ROUNDS = 2 };
	struct scene *scene = scene_of(COUNT, LEN);
	for (unsigned part = 0; part < 2 * 8; part++) {
		struct bytes made = { 0 };
		for (unsigned i = 0; i < ROUNDS * COUNT; i++) {
			uint64_t off = block_place(scene, i % COUNT) + rnd_below(LEN / 2);
			made = bytes_join(made, scene_op(scene, i % 2 == 0 ? OP_COPY : OP_ADD, off, 100));
		}
		scene_block(scene, part % 2, made);
	}
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	assert_merges(scene, 2);
	unsigned decodes = count_decodes(scene);
	ck_assert_uint_ge(decodes, COUNT + 4);
	ck_assert_uint_lt(decodes, COUNT + COUNT / 2);
}
END_TEST

/* A part so long that more goes around OLD's blocks than waits in a job of short ones. */
START_TEST(blocks_are_decoded_once_for_a_long_part)
{
	enum { LEN = 1 << 20, COUNT = CLIENT_CACHE / LEN + 4, FETCHES = 4400, FETCH = 400 };
	struct scene *scene = scene_of(COUNT, LEN);
	struct bytes made = bytes_new(FETCHES * FETCH);
	for (size_t i = 0; i < FETCHES; i++) {
		struct bytes bytes = scene_op(scene, OP_COPY, block_place(scene, i % COUNT) + rnd_below(LEN / 2), FETCH);
		memcpy(made.data + i * FETCH, bytes.data, FETCH);
	}
	scene_block(scene, STORED, made);
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	ck_assert_uint_eq(count_decodes(scene), COUNT);
}
END_TEST

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static bool note_memory(void *ctx, uint64_t image_done, uint64_t file_done)
{
	size_t *most = ctx, now = allocated();
	(void)image_done, (void)file_done;
	*most = *most > now ? *most : now;
	return true;
}

/* Each job has one long part, and each time another of its parts is that. */
START_TEST(long_parts_do_not_pile_up)
{
	enum { PARTS = 8, LONG = 5 * MIB / 2, MOST = 32 * MIB };
	struct scene *scene = scene_of(3, MIB);
	uint64_t middle = scene->head.old_size;
	for (unsigned job = 0; job < PARTS; job++)
		for (unsigned part = 0; part < PARTS; part++)
			scene_block(scene, STORED, scene_op(scene, OP_COPY, middle, part == job ? LONG : 1000));
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	size_t before = allocated(), most = 0;
	struct blockz_source old = bytes_source(scene->old), delta = bytes_source(scene->delta);
	struct blockz_merge_options options = { .work = { 1, note_memory, &most } };
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_OK);
	ck_assert_uint_gt(most, 0);
	ck_assert_uint_lt(most - before, MOST);
}
END_TEST

START_TEST(nothing_from_nothing)
{
	struct scene *scene = scene_new(0);
	finish(scene, NULL, 0);
	ck_assert_uint_eq(scene->new.len, 0);
	assert_merges(scene, 1);
	assert_merges(scene, 8);
}
END_TEST

START_TEST(to_nowhere)
{
	struct scene *scene = random_scene(6, 2, 8, 1000);
	struct blockz_source old = bytes_source(scene->old), delta = bytes_source(scene->delta);
	struct blockz_merge_options options = { .work = { .threads = 2 } };
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_merge_check(&old, &delta, &options, NULL), BLOCKZ_OK);
	scene->old.data[0] ^= 1;
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_merge_check(&old, &delta, &options, NULL), BLOCKZ_DAMAGED);
}
END_TEST

START_TEST(another_old)
{
	struct scene *scene = random_scene(6, 2, 8, 1000);
	scene->old.data[scene->head.old_size] ^= 1; /* does not count */
	assert_merges(scene, 1);
	scene->old.data[scene->head.old_size - 1] ^= 1;
	assert_refused(scene, BLOCKZ_DAMAGED, "OLD is not the file that this delta is for: SHA-256 expected ", true);
	scene->old.data[scene->head.old_size - 1] ^= 1;
	scene->old.len = scene->head.old_size;
	assert_merges(scene, 1);
	scene->old.len--;
	assert_refused(scene, BLOCKZ_DAMAGED, "OLD is not the file that this delta is for: size expected ", true);
}
END_TEST

START_TEST(another_encoder)
{
	struct scene *scene = scene_new(4);
	scene_block(scene, 1, scene_op(scene, OP_EXTRA, 0, 5000));
	struct section section = cut_section(scene);
	scene->head.encoders[1].fingerprint[15] ^= 1;
	finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_UNSUPPORTED, "\"zstd level=5\"", true);

	scene = scene_new(4);
	scene->head.encoders[1].params.values[ZSTD_LEVEL] = 1000;
	finish(scene, NULL, 0);
	assert_refused(scene, BLOCKZ_UNSUPPORTED, "parameters that this program does not know", true);

	scene = scene_new(4);
	scene->head.encoders[0].params = (struct codec_params){ .codec = CODEC_LZO };
	finish(scene, NULL, 0);
	assert_refused(scene, BLOCKZ_UNSUPPORTED, "LZO", true);
}
END_TEST

/* The encoder is the right one by its fingerprint, and yet the block comes out otherwise. */
START_TEST(a_block_that_differs)
{
	struct scene *scene = scene_new(4);
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 77));
	scene_block(scene, 1, scene_op(scene, OP_EXTRA, 0, 5000));
	scene->section.blocks[0].file_len--;
	scene->new.len--;
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_DAMAGED, "\"zstd level=5\" makes another block than NEW has at byte 77", false);
}
END_TEST

/* The first failure is told, whether what fails behind it belongs to the same job or not. */
START_TEST(two_failures)
{
	struct scene *scene = scene_new(4);
	scene_block(scene, 1, scene_op(scene, OP_EXTRA, 0, 5000));
	scene->section.blocks[0].file_len--;
	scene->new.len--;
	struct section sections[2] = { cut_section(scene) };
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 5000));
	sections[1] = cut_section(scene);
	finish(scene, sections, 2);
	scene->delta.len -= 100;
	assert_refused(scene, BLOCKZ_DAMAGED, "makes another block than NEW has", false);
}
END_TEST

START_TEST(a_new_that_differs)
{
	struct scene *scene = scene_new(4);
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 5000));
	scene->new.data[100] ^= 1;
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_DAMAGED, "NEW did not come out right: SHA-256 expected ", false);
}
END_TEST

START_TEST(a_block_of_old_that_does_not_decode)
{
	struct scene *scene = scene_new(4);
	scene->old_blocks.items[0].codec = CODEC_LZMA;
	scene_verbatim(scene, scene_op(scene, OP_COPY, scene->head.old_size, 5000));
	struct section section = cut_section(scene);
	finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_DAMAGED, "OLD's block of ", false);
}
END_TEST

START_TEST(a_sink_that_fails)
{
	struct scene *scene = random_scene(10, 2, 20, 1000);
	for (unsigned threads = 1; threads <= 8; threads *= 2)
		for (unsigned at = 1; at <= 9; at += 1 + at / 4) {
			struct growing_sink sink = { .fail_at = at };
			struct blockz_fault fault;
			ck_assert_int_eq(merge(bytes_source(scene->old), bytes_source(scene->delta), &sink,
					       (struct blockz_work){ .threads = threads }, &fault), BLOCKZ_FAILED);
			ck_assert_uint_eq(sink.calls, at);
			ck_assert(strstr(fault.text, strerror(EIO)) != NULL);
		}
}
END_TEST

/* Every read that there is fails in turn. */
START_TEST(sources_that_fail)
{
	struct scene *scene = random_scene(6, 2, 8, 1000);
	for (int which = 0; which < 2; which++)
		for (unsigned threads = 1; threads <= 2; threads++)
			for (unsigned at = 1;; at++) {
				struct flaky_source flaky = { .bytes = which == 0 ? scene->old : scene->delta, .fail_at = at };
				struct blockz_source old = which == 0 ? flaky_source(&flaky) : bytes_source(scene->old);
				struct blockz_source delta = which == 1 ? flaky_source(&flaky) : bytes_source(scene->delta);
				struct growing_sink sink = { .calls = 0 };
				struct blockz_fault fault;
				enum blockz_status status = merge(old, delta, &sink, (struct blockz_work){ .threads = threads },
								  &fault);
				if (flaky.reads < at) {
					ck_assert_int_eq(status, BLOCKZ_OK);
					break;
				}
				ck_assert_int_eq(status, BLOCKZ_FAILED);
				ck_assert(strstr(fault.text, strerror(EIO)) != NULL);
			}
}
END_TEST

struct patience {
	unsigned calls, last;
	uint64_t done;
};

static bool count_down(void *ctx, uint64_t image_done, uint64_t file_done)
{
	struct patience *patience = ctx;
	ck_assert_uint_ge(image_done, patience->done);
	ck_assert(image_done == 0 || file_done > 0);
	patience->done = image_done;
	return ++patience->calls != patience->last;
}

START_TEST(progress_and_interrupts)
{
	struct scene *scene = random_scene(10, 2, 20, 1000);
	for (unsigned threads = 1; threads <= 8; threads *= 2) {
		struct patience patience = { .last = 0 };
		struct blockz_work work = { threads, count_down, &patience };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		ck_assert_int_eq(merge(bytes_source(scene->old), bytes_source(scene->delta), &sink, work, &fault), BLOCKZ_OK);
		ck_assert_uint_eq(patience.done, scene->new.len);
		for (unsigned calls = patience.calls, last = 1; last <= calls; last += 1 + last / 3) {
			patience = (struct patience){ .last = last };
			sink = (struct growing_sink){ .calls = 0 };
			ck_assert_int_eq(merge(bytes_source(scene->old), bytes_source(scene->delta), &sink, work, &fault),
					 BLOCKZ_FAILED);
			ck_assert_str_eq(fault.text, "interrupted");
			ck_assert_uint_eq(patience.calls, last);
		}
	}
}
END_TEST

/* A stream, that insists on being read as one. */
struct stream_source {
	struct bytes bytes;
	uint64_t off;
};

static int stream_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct stream_source *self = ctx;
	ck_assert_uint_eq(off, self->off);
	*got_ret = (size_t)min(len, self->bytes.len - off);
	memcpy(buf, self->bytes.data + off, *got_ret);
	self->off += *got_ret;
	return 0;
}

START_TEST(a_delta_through_a_pipe)
{
	static const struct blockz_source_ops ops = { .read = stream_read };
	struct scene *scene = random_scene(10, 3, 20, 4000);
	struct blockz_fault fault;
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct stream_source stream = { .bytes = scene->delta };
		struct blockz_source source = { &ops, &stream, BLOCKZ_UNKNOWN };
		struct growing_sink sink = { .calls = 0 };
		enum blockz_status status = merge(bytes_source(scene->old), source, &sink,
						  (struct blockz_work){ .threads = threads }, &fault);
		ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
		assert_bytes(sink.bytes, scene->new);
	}
	struct stream_source stream = { .bytes = scene->old };
	struct growing_sink sink = { .calls = 0 };
	ck_assert_int_eq(merge((struct blockz_source){ &ops, &stream, BLOCKZ_UNKNOWN }, bytes_source(scene->delta), &sink,
			       (struct blockz_work){ .threads = 1 }, &fault), BLOCKZ_USAGE);
}
END_TEST

/* A client that looks first reads no more of a pipe than the head. */
START_TEST(what_a_delta_says)
{
	static const struct blockz_source_ops ops = { .read = stream_read };
	struct scene *scene = random_scene(10, 3, 10, 4000);
	struct stream_source stream = { .bytes = scene->delta };
	struct blockz_source source = { &ops, &stream, BLOCKZ_UNKNOWN };
	struct blockz_delta_info info;
	ck_assert_int_eq(blockz_delta_info(&source, &info, NULL), BLOCKZ_OK);
	ck_assert_uint_le(stream.off, DELTA_HEAD_MAX);
	ck_assert(info.old_size == scene->head.old_size && info.new_size == scene->new.len);
	ck_assert_mem_eq(info.new_sha256, scene->head.new_sha256, 32);
	ck_assert_str_eq(info.old_container, "by hand");
	ck_assert_uint_eq(info.encoder_count, ENCODERS);
	ck_assert_str_eq(info.encoders[1].name, "zstd level=5");

	struct blockz_delta_summary summary;
	stream.off = 0;
	ck_assert_int_eq(blockz_delta_summary(&source, &summary, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(summary.delta_size, scene->delta.len);
	ck_assert_uint_eq(summary.sections, 3);
	ck_assert_uint_eq(summary.old_blocks, 10);
	uint64_t coded = 0, verbatim = scene->new.len - summary.blocks_coded;
	for (size_t i = 0; i < summary.part_count; i++)
		coded += summary.parts[i].coded;
	ck_assert(coded > 0 && coded < summary.delta_size);
	ck_assert_uint_eq(summary.copy.bytes + summary.add.bytes + summary.extra.bytes + summary.packed.bytes,
			  summary.blocks_plain + verbatim);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("merge");
	tcase_add_test(tcase, all_ops_on_any_number_of_threads);
	tcase_add_test(tcase, long_ops);
	tcase_add_test(tcase, ops_of_one_byte);
	tcase_add_test(tcase, blocks_are_decoded_once_for_a_job);
	tcase_add_test(tcase, blocks_are_decoded_once_for_a_long_part);
	if (!sanitized) /* whose memory is not the C library's */
		tcase_add_test(tcase, long_parts_do_not_pile_up);
	tcase_add_test(tcase, nothing_from_nothing);
	tcase_add_test(tcase, to_nowhere);
	tcase_add_test(tcase, another_old);
	tcase_add_test(tcase, another_encoder);
	tcase_add_test(tcase, a_block_that_differs);
	tcase_add_test(tcase, two_failures);
	tcase_add_test(tcase, a_new_that_differs);
	tcase_add_test(tcase, a_block_of_old_that_does_not_decode);
	tcase_add_test(tcase, a_sink_that_fails);
	tcase_add_test(tcase, sources_that_fail);
	tcase_add_test(tcase, progress_and_interrupts);
	tcase_add_test(tcase, a_delta_through_a_pipe);
	tcase_add_test(tcase, what_a_delta_says);
	return case_run("merge", tcase);
}
