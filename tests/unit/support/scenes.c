/* SPDX-License-Identifier: BSD-3-Clause */
/* OLD is made at once, NEW and the delta op by op, with the encoders of codec/ and the writer of delta/file. */
#include "scenes.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/checked.h"
#include "blockz_delta.h"
#include "delta/file/write.h"
#include "images.h"

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
	size_t room = 0, old_room = 0;
	scene->old_blocks.items = keep((blocks + 1) * sizeof(*scene->old_blocks.items));
	for (size_t i = 0; i < blocks; i++) {
		struct bytes part = bytes_copy((struct bytes){ plain.data + i * block_len, block_len - i % 7 });
		unsigned encoder = i % ENCODERS;
		struct bytes block = encoded(scene, &encoder, part);
		bytes_append(&scene->old, &old_room, image_new(IMAGE_DISK, i % 3 * 1000).data, i % 3 * 1000);
		scene->old_blocks.items[scene->old_blocks.count++] = (struct delta_old_block){
			.file_off = scene->old.len, .plain_len = (uint32_t)part.len,
			.file_len = (uint32_t)block.len & 0x3ffffff,
			.codec = scene->head.encoders[encoder].params.codec & 0x3f,
		};
		bytes_append(&scene->old, &old_room, block.data, block.len);
		bytes_append(&decoded, &room, part.data, part.len);
	}
	scene->head.old_size = scene->old.len;
	sha256(scene->old, scene->head.old_sha256);
	scene->space = bytes_join(scene->old, decoded);
	scene->old = bytes_join(scene->old, image_new(IMAGE_DISK, 3000));
}

struct scene *scene_of(size_t blocks, size_t block_len)
{
	struct scene *scene = keep(sizeof(*scene));
	add_encoder(scene, (struct codec_params){ CODEC_ZLIB, { [ZLIB_LEVEL] = 1, [ZLIB_WINDOW] = 15 } });
	add_encoder(scene, (struct codec_params){ CODEC_ZSTD, { [ZSTD_LEVEL] = 5 } });
	add_encoder(scene, (struct codec_params){ CODEC_STORED, { 0 } });
	strcpy(scene->head.old_container, "by hand");
	strcpy(scene->head.note, "none");
	make_old(scene, blocks, block_len);
	return scene;
}

struct scene *scene_new(size_t blocks)
{
	return scene_of(blocks, BLOCK_LEN);
}

struct bytes scene_op(struct scene *scene, unsigned kind, uint64_t old_off, size_t len)
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

void scene_verbatim(struct scene *scene, struct bytes made)
{
	scene->new = bytes_join(scene->new, made);
	scene->since_block += made.len;
}

void scene_block(struct scene *scene, unsigned encoder, struct bytes made)
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

void scene_finish(struct scene *scene, struct section *sections, size_t count)
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

struct section scene_cut(struct scene *scene)
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

struct scene *scene_random(size_t old_blocks, size_t section_count, size_t steps, size_t len_max)
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
		sections[i] = scene_cut(scene);
	}
	scene_finish(scene, sections, section_count);
	return scene;
}

enum blockz_status merge(struct blockz_source old, struct blockz_source delta, struct growing_sink *sink,
			 struct blockz_work work, struct blockz_fault *fault)
{
	struct blockz_sink out = growing_sink(sink);
	struct blockz_merge_options options = { .work = work };
	*fault = (struct blockz_fault){ .text = "" };
	enum blockz_status status = blockz_merge(&old, &delta, &out, &options, fault);
	ck_assert_int_eq(fault->status, status);
	return status;
}

void assert_merges(const struct scene *scene, unsigned threads)
{
	struct growing_sink sink = { .calls = 0 };
	struct blockz_fault fault;
	enum blockz_status status = merge(bytes_source(scene->old), bytes_source(scene->delta), &sink,
					  (struct blockz_work){ .threads = threads }, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	assert_bytes(sink.bytes, scene->new);
}
