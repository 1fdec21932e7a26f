/* SPDX-License-Identifier: BSD-3-Clause */
/* Deltas as they are written down: what was written is read, and nothing else is. */
#include <string.h>

#include "base/checked.h"
#include "blockz_delta.h"
#include "delta/file/read.h"
#include "delta/file/write.h"
#include "fuzz/reseal_delta.h"
#include "images.h"
#include "memory.h"
#include "random.h"

/* ---- A delta, by what it says ---- */

enum { SECTIONS_MAX = 4 };

struct script {
	struct delta_head head;
	struct delta_old_blocks old;
	uint64_t old_space;
	struct section sections[SECTIONS_MAX];
	size_t section_count;
};

static void random_old(struct script *script, size_t count)
{
	uint64_t off = 0;
	script->old.items = keep((count + 1) * sizeof(*script->old.items));
	script->old_space = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t len = 1 + (uint32_t)rnd_below(100000);
		off += rnd_below(3) == 0 ? rnd_below(1000) : 0;
		script->old.items[script->old.count++] = (struct delta_old_block){
			.file_off = off, .plain_len = 1 + (uint32_t)rnd_below(CODEC_BLOCK_MAX), .file_len = len,
			.codec = (unsigned)rnd_below(CODEC_COUNT) & 0x3f,
		};
		off += len;
		script->old_space += script->old.items[i].plain_len;
	}
	script->head.old_size = off + rnd_below(100000) + 1;
	script->old_space += script->head.old_size;
}

/* Bytes of all kinds of entropy. */
static uint8_t *random_bytes(size_t len)
{
	struct bytes image = image_new(rnd_below(2) == 0 ? IMAGE_TEXT : IMAGE_DISK, len + 1);
	return image.data;
}

static struct op random_op(const struct script *script, uint64_t len_max)
{
	struct op op = { .len = 1 + rnd_below(len_max), .kind = (uint8_t)rnd_below(OP_COUNT) };
	if (op.kind != OP_COPY && op.kind != OP_ADD)
		return op;
	bool of_file = script->old.count == 0 || rnd_below(2) == 0;
	uint64_t start = of_file ? 0 : script->head.old_size;
	uint64_t room = of_file ? script->head.old_size : script->old_space - start;
	op.len = min(op.len, room);
	op.old_off = start + rnd_below(room - op.len + 1);
	return op;
}

static void random_section(struct script *script, struct section *section, size_t ops, uint64_t len_max)
{
	section->ops = keep((ops + 1) * sizeof(*section->ops));
	for (size_t i = 0; i < ops; i++) {
		struct op op = random_op(script, len_max);
		section->diff_len += op.kind == OP_ADD ? op.len : 0;
		section->extra_len += op.kind == OP_EXTRA ? op.len : 0;
		section->packed_len += op.kind == OP_PACKED ? op.len : 0;
		section->stream_len += op.len;
		section->ops[section->op_count++] = op;
	}
	section->diff = random_bytes(section->diff_len);
	section->extra = random_bytes(section->extra_len);
	section->packed = random_bytes(section->packed_len);
	section->blocks = keep((section->stream_len / 4 + 1) * sizeof(*section->blocks));
	script->head.new_size += section->stream_len;
	for (uint64_t pos = 0; script->head.encoder_count > 0;) {
		uint64_t before = rnd_below(2) * rnd_below(2 * len_max), len = 4 + rnd_below(2 * len_max);
		if (before + len > section->stream_len - pos || len > CODEC_BLOCK_MAX)
			break;
		section->blocks[section->block_count++] = (struct delta_new_block){
			.before = before, .plain_len = (uint32_t)len, .file_len = 1 + (uint32_t)rnd_below(len),
			.encoder = (uint8_t)rnd_below(script->head.encoder_count),
		};
		script->head.new_size += section->blocks[section->block_count - 1].file_len - len;
		pos += before + len;
	}
}

static void random_head(struct delta_head *head, size_t encoders)
{
	*head = (struct delta_head){ .encoder_count = encoders };
	rnd_fill(head->old_sha256, sizeof(head->old_sha256));
	rnd_fill(head->new_sha256, sizeof(head->new_sha256));
	for (size_t i = 0; i < encoders; i++) {
		head->encoders[i].params.codec = (uint8_t)rnd_below(CODEC_COUNT);
		for (size_t j = rnd_below(CODEC_VALUES_MAX + 1); j-- > 0;)
			head->encoders[i].params.values[j] = (uint32_t)(rnd() >> rnd_below(64));
		rnd_fill(head->encoders[i].fingerprint, CODEC_FINGERPRINT_LEN);
	}
	memset(head->old_container, 'o', rnd_below(sizeof(head->old_container)));
	memset(head->new_container, 'n', rnd_below(sizeof(head->new_container)));
	memset(head->note, '!', rnd_below(sizeof(head->note)));
}

static struct script *random_script(size_t encoders, size_t old_blocks, size_t sections, size_t ops, uint64_t len_max)
{
	struct script *script = keep(sizeof(*script));
	random_head(&script->head, encoders);
	random_old(script, old_blocks);
	script->section_count = sections;
	for (size_t i = 0; i < sections; i++)
		random_section(script, &script->sections[i], 1 + rnd_below(ops), len_max);
	return script;
}

static struct bytes write_script(const struct script *script, unsigned threads)
{
	struct growing_sink growing = { .calls = 0 };
	struct blockz_sink sink = growing_sink(&growing);
	struct delta_writer *writer = NULL;
	ck_assert_int_eq(delta_writer_new(&sink, &script->head, &script->old, threads, &writer, NULL), BLOCKZ_OK);
	for (size_t i = 0; i < script->section_count; i++)
		ck_assert_int_eq(delta_write_sections(writer, &script->sections[i], 1, NULL), BLOCKZ_OK);
	ck_assert_int_eq(delta_write_end(writer, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(delta_writer_len(writer), growing.bytes.len);
	delta_writer_free(writer);
	return growing.bytes;
}

/* ---- Reading it ---- */

/* All that a delta says but its head: of any delta, as long as it is good. */
struct told {
	struct delta_old_blocks old;
	struct section sections[SECTIONS_MAX];
	size_t section_count;
};

static void append_op(struct section *section, const struct op *op, uint8_t *bytes, bool is_new)
{
	uint8_t **to[OP_COUNT] = { NULL, &section->diff, &section->extra, &section->packed };
	size_t *len[OP_COUNT] = { NULL, &section->diff_len, &section->extra_len, &section->packed_len };
	if (op->kind != OP_COPY) {
		struct bytes joined = bytes_join((struct bytes){ *to[op->kind], *len[op->kind] },
						 (struct bytes){ bytes, (size_t)op->len });
		*to[op->kind] = joined.data;
		*len[op->kind] = joined.len;
	}
	if (!is_new) {
		section->ops[section->op_count - 1].len += op->len;
		return;
	}
	struct bytes ops = bytes_join((struct bytes){ (uint8_t *)section->ops, section->op_count * sizeof(*op) },
				      bytes_new(sizeof(*op)));
	section->ops = (struct op *)ops.data;
	section->ops[section->op_count++] = *op;
}

/* An op that was cut by a step goes on where the part before ended; equal neighbours are one op here as well. */
static bool goes_on(const struct section *section, const struct op *op)
{
	if (section->op_count == 0)
		return false;
	const struct op *last = &section->ops[section->op_count - 1];
	return last->kind == op->kind && (op->kind == OP_EXTRA || op->kind == OP_PACKED ||
					  last->old_off + last->len == op->old_off);
}

static enum blockz_status read_step_ops(struct delta_reader *reader, uint64_t left, struct section *section,
					struct blockz_fault *fault)
{
	struct bytes room = bytes_new((size_t)left);
	enum blockz_status status = BLOCKZ_OK;
	while (left > 0 && status == BLOCKZ_OK) {
		struct op op;
		status = delta_read_op(reader, left, &op, room.data, fault);
		if (status != BLOCKZ_OK)
			break;
		ck_assert(op.len > 0 && op.len <= left);
		left -= op.len;
		append_op(section, &op, room.data, !goes_on(section, &op));
	}
	return status;
}

static enum blockz_status read_steps(struct delta_reader *reader, uint64_t verbatim_max, struct section *section,
				     struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool done = false;
	uint64_t before = 0;
	while (status == BLOCKZ_OK) {
		struct delta_step step;
		status = delta_read_step(reader, verbatim_max, &step, &done, fault);
		if (status != BLOCKZ_OK || done)
			break;
		section->stream_len += step.len;
		ck_assert(step.is_block || (step.len > 0 && step.len <= verbatim_max));
		if (step.is_block) {
			struct bytes blocks = bytes_join(
				(struct bytes){ (uint8_t *)section->blocks, section->block_count * sizeof(step.block) },
				bytes_new(sizeof(step.block)));
			section->blocks = (struct delta_new_block *)blocks.data;
			step.block.before = before;
			section->blocks[section->block_count++] = step.block;
		}
		before = step.is_block ? 0 : before + step.len;
		status = read_step_ops(reader, step.len, section, fault);
	}
	return status;
}

static enum blockz_status read_all(const struct blockz_source *source, uint64_t verbatim_max, struct delta_head *head,
				   struct told *told, struct blockz_fault *fault)
{
	struct delta_reader *reader = NULL;
	enum blockz_status status = delta_reader_new(source, &reader, fault);
	if (status != BLOCKZ_OK)
		return status;
	*head = *delta_reader_head(reader);
	status = delta_read_old_blocks(reader, &told->old, fault);
	if (status == BLOCKZ_OK) {
		struct bytes copy = bytes_copy((struct bytes){ (uint8_t *)told->old.items,
							       told->old.count * sizeof(*told->old.items) });
		told->old.items = (struct delta_old_block *)copy.data;
	}
	bool done = false;
	while (status == BLOCKZ_OK) {
		status = delta_read_section(reader, &done, fault);
		if (status != BLOCKZ_OK || done)
			break;
		if (told->section_count == SECTIONS_MAX) /* a test's deltas have no more */
			told->section_count = 0;
		struct section *section = &told->sections[told->section_count++];
		*section = (struct section){ 0 };
		status = read_steps(reader, verbatim_max, section, fault);
	}
	delta_reader_free(reader);
	return status;
}

/* The same script, its ops united as they are where it is read. */
static struct section united(const struct section *section)
{
	struct section result = *section;
	result.ops = keep((section->op_count + 1) * sizeof(*section->ops));
	result.op_count = 0;
	for (size_t i = 0; i < section->op_count; i++) {
		if (goes_on(&result, &section->ops[i]))
			result.ops[result.op_count - 1].len += section->ops[i].len;
		else
			result.ops[result.op_count++] = section->ops[i];
	}
	return result;
}

static void assert_sections(const struct section *found, const struct section *written)
{
	struct section expected = united(written);
	ck_assert_uint_eq(found->stream_len, expected.stream_len);
	ck_assert_uint_eq(found->op_count, expected.op_count);
	for (size_t i = 0; i < expected.op_count; i++) {
		const struct op *a = &found->ops[i], *b = &expected.ops[i];
		ck_assert_uint_eq(a->kind, b->kind);
		ck_assert_uint_eq(a->len, b->len);
		if (a->kind == OP_COPY || a->kind == OP_ADD)
			ck_assert_uint_eq(a->old_off, b->old_off);
	}
	ck_assert_uint_eq(found->block_count, expected.block_count);
	for (size_t i = 0; i < expected.block_count; i++) {
		const struct delta_new_block *a = &found->blocks[i], *b = &expected.blocks[i];
		ck_assert(a->before == b->before && a->plain_len == b->plain_len && a->file_len == b->file_len &&
			  a->encoder == b->encoder);
	}
	assert_bytes((struct bytes){ found->diff, found->diff_len }, (struct bytes){ expected.diff, expected.diff_len });
	assert_bytes((struct bytes){ found->extra, found->extra_len },
		     (struct bytes){ expected.extra, expected.extra_len });
	assert_bytes((struct bytes){ found->packed, found->packed_len },
		     (struct bytes){ expected.packed, expected.packed_len });
}

static void assert_told(const struct script *script, const struct delta_head *head, const struct told *told)
{
	ck_assert(head->old_size == script->head.old_size && head->new_size == script->head.new_size);
	ck_assert_mem_eq(head->old_sha256, script->head.old_sha256, 32);
	ck_assert_mem_eq(head->new_sha256, script->head.new_sha256, 32);
	ck_assert_str_eq(head->old_container, script->head.old_container);
	ck_assert_str_eq(head->new_container, script->head.new_container);
	ck_assert_str_eq(head->note, script->head.note);
	ck_assert_uint_eq(head->encoder_count, script->head.encoder_count);
	for (size_t i = 0; i < head->encoder_count; i++) {
		const struct delta_encoder *a = &head->encoders[i], *b = &script->head.encoders[i];
		ck_assert_uint_eq(a->params.codec, b->params.codec);
		ck_assert_mem_eq(a->params.values, b->params.values, sizeof(a->params.values));
		ck_assert_mem_eq(a->fingerprint, b->fingerprint, CODEC_FINGERPRINT_LEN);
	}
	ck_assert_uint_eq(told->old.count, script->old.count);
	for (size_t i = 0; i < told->old.count; i++) {
		struct delta_old_block a = told->old.items[i], b = script->old.items[i];
		ck_assert(a.file_off == b.file_off && a.file_len == b.file_len && a.plain_len == b.plain_len &&
			  a.codec == b.codec);
	}
	ck_assert_uint_eq(told->section_count, script->section_count);
	for (size_t i = 0; i < told->section_count; i++)
		assert_sections(&told->sections[i], &script->sections[i]);
}

static void assert_reads_back(const struct script *script, struct bytes delta, uint64_t verbatim_max)
{
	struct blockz_source source = bytes_source(delta);
	struct blockz_fault fault = { .text = "" };
	struct delta_head head;
	struct told told = { .section_count = 0 };
	enum blockz_status status = read_all(&source, verbatim_max, &head, &told, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	assert_told(script, &head, &told);
}

/* Neither the bytes nor another delta: what is read of a changed delta may only be a prefix of what was written. */
static void assert_refused(struct bytes delta, const char *what, size_t where)
{
	struct blockz_source source = bytes_source(delta);
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	struct delta_head head;
	struct told told = { .section_count = 0 };
	enum blockz_status status = read_all(&source, 1000, &head, &told, &fault);
	ck_assert_msg(status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED, "%s at %zu: status %d", what, where,
		      (int)status);
	ck_assert_int_eq(fault.status, status);
	ck_assert_uint_gt(strlen(fault.text), 0);
}

/* ---- Tests ---- */

START_TEST(what_was_written_is_read)
{
	for (int round = 0; round < (few_rounds ? 5 : 15); round++) {
		uint64_t len_max = (uint64_t)1 << rnd_below(11);
		struct script *script = random_script(rnd_below(DELTA_ENCODERS_MAX + 1), rnd_below(50),
						      rnd_below(SECTIONS_MAX + 1), 200, len_max);
		struct bytes delta = write_script(script, 1);
		assert_reads_back(script, delta, 1 + rnd_below(2 * len_max));
		assert_reads_back(script, delta, UINT64_MAX);
	}
}
END_TEST

START_TEST(threads_change_nothing)
{
	struct script *script = random_script(3, 100, 2, 300, 800);
	struct bytes delta = write_script(script, 1);
	assert_bytes(write_script(script, 2), delta);
	assert_bytes(write_script(script, 8), delta);
	assert_reads_back(script, delta, 4096);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	struct bytes delta = write_script(random_script(2, 5, 2, 12, 40), 1);
	for (size_t len = 0; len < delta.len; len++)
		assert_refused(bytes_copy((struct bytes){ delta.data, len }), "truncated", len);
	assert_refused(bytes_join(delta, bytes_new(1)), "longer", delta.len);
}
END_TEST

START_TEST(every_changed_byte_is_refused)
{
	struct bytes delta = write_script(random_script(2, 5, 2, 12, 40), 1);
	for (size_t i = 0; i < delta.len; i++) {
		uint8_t byte = delta.data[i];
		for (int bit = 0; bit < 8; bit++) {
			delta.data[i] = byte ^ (uint8_t)(1 << bit);
			assert_refused(delta, "changed", i);
		}
		delta.data[i] = byte;
	}
}
END_TEST

/* ---- Lies, by a writer that writes what it is told ---- */

/* A delta of 1000 bytes of OLD's space and of each stream, with one block of 500. */
static struct script *plain_script(void)
{
	struct script *script = keep(sizeof(*script));
	struct section *section = &script->sections[0];
	random_head(&script->head, 1);
	script->head.old_size = 5000;
	script->old.items = keep(2 * sizeof(*script->old.items));
	script->old.count = 2;
	script->old.items[0] = (struct delta_old_block){ .file_off = 100, .plain_len = 600, .file_len = 200 };
	script->old.items[1] = (struct delta_old_block){ .file_off = 4000, .plain_len = 700, .file_len = 1000 };
	script->section_count = 1;
	section->ops = keep(OP_COUNT * sizeof(*section->ops));
	section->op_count = OP_COUNT;
	for (unsigned i = 0; i < OP_COUNT; i++)
		section->ops[i] = (struct op){ .len = 1000, .old_off = i < OP_EXTRA ? 5300 : 0, .kind = (uint8_t)i };
	section->diff = random_bytes(1001);
	section->extra = random_bytes(1001);
	section->packed = random_bytes(1001);
	section->diff_len = section->extra_len = section->packed_len = 1000;
	section->stream_len = 4000;
	section->blocks = keep(sizeof(*section->blocks));
	section->blocks[0] = (struct delta_new_block){ .before = 3000, .plain_len = 500, .file_len = 100 };
	section->block_count = 1;
	script->head.new_size = 3600;
	return script;
}

static void lie_place(struct script *script) { script->sections[0].ops[0].old_off++; }
static void lie_middle(struct script *script) { script->sections[0].ops[1].old_off = 4001; }
static void lie_place_overflow(struct script *script) { script->sections[0].ops[0].old_off = UINT64_MAX - 10; }
static void lie_len_overflow(struct script *script) { script->sections[0].ops[0].len = UINT64_MAX - 5000; }
static void lie_len_zero(struct script *script) { script->sections[0].ops[2].len = 0; }
static void lie_kind(struct script *script) { script->sections[0].ops[3].kind = OP_COUNT; }
static void lie_ops_short(struct script *script) { script->sections[0].ops[3].len--; }
static void lie_ops_long(struct script *script) { script->sections[0].ops[0].len++; }
static void lie_op_missing(struct script *script) { script->sections[0].op_count--; }
static void lie_diff_short(struct script *script) { script->sections[0].diff_len--; }
static void lie_extra_long(struct script *script) { script->sections[0].extra_len++; }
static void lie_packed_gone(struct script *script) { script->sections[0].packed_len = 0; }
static void lie_encoder(struct script *script) { script->sections[0].blocks[0].encoder = 1; }
static void lie_block_beyond(struct script *script) { script->sections[0].blocks[0].before = 3501; }
static void lie_before(struct script *script) { script->sections[0].blocks[0].before = UINT64_MAX - 400; }
static void lie_block_empty(struct script *script) { script->sections[0].blocks[0].file_len = 0; }
static void lie_block_huge(struct script *script) { script->sections[0].blocks[0].plain_len = CODEC_BLOCK_MAX + 1; }
static void lie_new_less(struct script *script) { script->head.new_size--; }
static void lie_new_more(struct script *script) { script->head.new_size++; }
static void lie_new_huge(struct script *script) { script->head.new_size = UINT64_MAX; }
static void lie_old_huge(struct script *script) { script->head.old_size = DELTA_SIZE_MAX + 1; }
static void lie_old_beyond(struct script *script) { script->head.old_size = 4999; }
static void lie_old_far(struct script *script) { script->old.items[1].file_off = UINT64_MAX - 10; }
static void lie_old_empty(struct script *script) { script->old.items[0].file_len = 0; }
static void lie_old_plain(struct script *script) { script->old.items[0].plain_len = CODEC_BLOCK_MAX + 1; }
static void lie_old_codec(struct script *script) { script->old.items[0].codec = CODEC_COUNT; }
static void lie_stream_short(struct script *script) { script->sections[0].stream_len -= 10; }
static void lie_stream_huge(struct script *script) { script->sections[0].stream_len = UINT64_MAX; }
static void lie_text(struct script *script) { strcpy(script->head.note, "\033[2J"); }

static const struct {
	void (*lie)(struct script *script);
	const char *text;
} lies[] = {
	{ lie_place, "of OLD's space" }, { lie_middle, "of OLD's space" }, { lie_place_overflow, "of OLD's space" },
	{ lie_len_overflow, "of OLD's space" }, { lie_len_zero, "an op of kind" }, { lie_kind, "an op of kind" },
	{ lie_ops_short, "ops are shorter" }, { lie_ops_long, "of OLD's space" }, { lie_op_missing, "ops are shorter" },
	{ lie_diff_short, "\"diff\" ends too early" }, { lie_extra_long, "\"extra\" is longer" },
	{ lie_packed_gone, "\"packed\" ends too early" }, { lie_encoder, "encoder 1 of 1" },
	{ lie_block_beyond, "beyond the section" }, { lie_before, "beyond the section" },
	{ lie_block_empty, "a block of NEW has" }, { lie_block_huge, "a block of NEW has" },
	{ lie_new_less, "more of NEW" }, { lie_new_more, "bytes of NEW, expected 3601" },
	{ lie_new_huge, "size is too large" }, { lie_old_huge, "size is too large" },
	{ lie_old_beyond, "behind its end" }, { lie_old_far, "behind its end" }, { lie_old_empty, "a block of OLD has" },
	{ lie_old_plain, "a block of OLD has" }, { lie_old_codec, "is of codec" }, { lie_stream_short, "ops are longer" },
	{ lie_stream_huge, "more of NEW" }, { lie_text, "control characters" },
};

START_TEST(every_lie_is_told_apart)
{
	struct script *script = plain_script();
	assert_reads_back(script, write_script(script, 1), 100);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		script = plain_script();
		lies[i].lie(script);
		struct blockz_source source = bytes_source(write_script(script, 1));
		struct blockz_fault fault = { .text = "" };
		struct delta_head head;
		struct told told = { .section_count = 0 };
		ck_assert_int_eq(read_all(&source, 1000, &head, &told, &fault), BLOCKZ_DAMAGED);
		ck_assert_msg(strstr(fault.text, lies[i].text) != NULL, "lie %zu: %s", i, fault.text);
	}
}
END_TEST

START_TEST(a_later_version)
{
	struct bytes delta = write_script(plain_script(), 1);
	struct blockz_source source = bytes_source(delta);
	struct blockz_fault fault = { .text = "" };
	struct delta_head head;
	struct told told = { .section_count = 0 };
	store_le32(delta.data + HEAD_FEATURES_OFF, 1u << 3 | 1u << 31);
	reseal_delta(delta.data, delta.len);
	ck_assert_int_eq(read_all(&source, 1000, &head, &told, &fault), BLOCKZ_UNSUPPORTED);
	ck_assert_msg(strstr(fault.text, "features that this program does not know: 3 31") != NULL, "%s", fault.text);
	store_le16(delta.data + HEAD_VERSION_OFF, 2);
	reseal_delta(delta.data, delta.len);
	ck_assert_int_eq(read_all(&source, 1000, &head, &told, &fault), BLOCKZ_UNSUPPORTED);
	ck_assert_msg(strstr(fault.text, "version 2") != NULL, "%s", fault.text);
}
END_TEST

/* As above, where no check stands in the way: what is read then is another delta, or refused. */
START_TEST(every_changed_byte_with_good_checks)
{
	struct bytes delta = write_script(random_script(2, 5, 2, 12, 40), 1);
	size_t refused = 0, tried = 0;
	for (size_t i = DELTA_MAGIC_LEN; i < delta.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct bytes changed = bytes_copy(delta);
			struct blockz_source source = bytes_source(changed);
			struct blockz_fault fault = { .status = BLOCKZ_OK };
			struct delta_head head;
			struct told told = { .section_count = 0 };
			changed.data[i] ^= (uint8_t)(1 << bit);
			reseal_delta(changed.data, changed.len);
			enum blockz_status status = read_all(&source, 1000, &head, &told, &fault);
			ck_assert(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED);
			ck_assert_int_eq(fault.status, status);
			refused += status != BLOCKZ_OK;
			tried++;
		}
	/* The checks themselves, sizes, counts and lengths; digests, fingerprints and content can be anything. */
	ck_assert(refused > 500 && refused < tried);
}
END_TEST

/* What a stream decodes to is not believed beyond its length, nor is there more of it in memory. */
START_TEST(streams_that_decode_to_more)
{
	struct script *script = plain_script();
	struct section *section = &script->sections[0];
	const size_t len = 64 << 20;
	section->ops[2].len = len;
	section->extra = keep(len);
	section->extra_len = len;
	section->stream_len += len - 1000;
	script->head.new_size += len - 1000;
	struct bytes delta = write_script(script, 2);
	ck_assert_uint_lt(delta.len, 100000);
	struct blockz_source source = bytes_source(delta);
	struct blockz_delta_summary summary;
	ck_assert_int_eq(blockz_delta_summary(&source, &summary, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(summary.extra.bytes, len);

	section->ops[2].len = 1000;
	section->stream_len -= len - 1000;
	script->head.new_size -= len - 1000;
	source = bytes_source(write_script(script, 2));
	ck_assert_int_eq(blockz_delta_summary(&source, &summary, NULL), BLOCKZ_DAMAGED);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("delta format");
	tcase_add_test(tcase, what_was_written_is_read);
	tcase_add_test(tcase, threads_change_nothing);
	tcase_add_test(tcase, every_truncation_is_refused);
	tcase_add_test(tcase, every_changed_byte_is_refused);
	tcase_add_test(tcase, every_lie_is_told_apart);
	tcase_add_test(tcase, a_later_version);
	tcase_add_test(tcase, every_changed_byte_with_good_checks);
	tcase_add_test(tcase, streams_that_decode_to_more);
	return case_run("delta format", tcase);
}
