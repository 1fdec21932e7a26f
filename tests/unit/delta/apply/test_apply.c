/* SPDX-License-Identifier: BSD-3-Clause */
/* Carrying plans out, on stores and on copies, when something is not as it should be. */
#include <string.h>

#include "images.h"
#include "stores.h"

static const struct blockz_range raw = { 5001, 300000 };

static struct bytes pack_raw(const struct blockz_format *format, struct bytes image)
{
	struct blockz_pack_options options = { .piece_size = format->piece_size_min, .raw = &raw, .raw_count = 1 };
	return pack_image(format, image, options, NULL);
}

static enum blockz_status copy(const struct blockz_plan *plan, struct bytes file, struct growing_sink *sink,
			       struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_sink out = growing_sink(sink);
	return blockz_plan_copy(plan, &source, &out, fault);
}

/* No read may fail unseen: an index that is passed over for that would be left with checks that are no longer right. */
START_TEST(files_that_cannot_be_read_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 500000), edited = bytes_copy(image);
	struct flaky_source self = { .bytes = pack_raw(format, image) };
	struct blockz_source file = flaky_source(&self);
	struct blockz_work work = { .threads = 1 };
	complement(edited, raw);
	struct blockz_edit edit = edit_from(edited, raw);
	for (int scan = 0; scan < 2; scan++) {
		enum blockz_status status = BLOCKZ_FAILED;
		for (self.fail_at = 1; status != BLOCKZ_OK; self.fail_at++) {
			struct blockz_map *map = NULL;
			struct blockz_plan *plan = NULL;
			self.reads = 0;
			status = blockz_map_read(&file, &(struct blockz_map_options){ .scan = scan }, &map, NULL);
			if (status == BLOCKZ_OK)
				status = blockz_plan_new(&file, map, &edit, 1, &work, &plan, NULL);
			ck_assert_int_eq(status, self.reads >= self.fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
			blockz_plan_free(plan);
			blockz_map_free(map);
		}
		ck_assert_uint_gt(self.fail_at, 8);
	}
}
END_TEST

START_TEST(stores_that_do_not_fit_or_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 500000), file = pack_raw(format, image), edited = bytes_copy(image);
	complement(edited, raw);
	struct blockz_edit edit = edit_from(edited, raw);
	struct blockz_plan *plan = plan_of(file, false, &edit, 1);
	struct blockz_fault fault;
	struct plain_store longer = { .bytes = bytes_join(file, bytes_new(1)) };
	struct blockz_store store = plain_store(&longer);
	ck_assert_int_eq(blockz_plan_apply(plan, &store, &fault), BLOCKZ_USAGE);
	ck_assert_uint_eq(longer.log_count, 0);
	for (unsigned fail_at = 1; fail_at <= blockz_plan_info(plan).writes; fail_at++) {
		struct plain_store self = { .bytes = bytes_copy(file), .fail_at = fail_at };
		store = plain_store(&self);
		ck_assert_int_eq(blockz_plan_apply(plan, &store, &fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_TORN); /* there is no journal to go back by */
		ck_assert_uint_eq(self.log_count, fail_at);
	}
	blockz_plan_free(plan);
}
END_TEST

START_TEST(copies_that_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_NOISE, 3 * MIB + 1), edited = bytes_copy(image);
	const struct blockz_range most = { 5, 3 * MIB }; /* so that writes lie across the parts that are copied */
	struct blockz_pack_options options = { .raw = &most, .raw_count = 1 };
	struct bytes file = pack_image(format, image, options, NULL);
	complement(edited, most);
	struct blockz_edit edit = edit_from(edited, most);
	struct blockz_plan *plan = plan_of(file, false, &edit, 1);
	struct blockz_fault fault;
	struct growing_sink sink = { .calls = 0 };
	ck_assert_int_eq(copy(plan, file, &sink, &fault), BLOCKZ_OK);
	assert_decodes(format->name, sink.bytes, edited);
	for (unsigned fail_at = 1; fail_at <= sink.calls; fail_at++) {
		struct growing_sink bad = { .fail_at = fail_at };
		ck_assert_int_eq(copy(plan, file, &bad, &fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_UNCHANGED);
		assert_bytes(bad.bytes, (struct bytes){ sink.bytes.data, bad.bytes.len });
	}
	struct growing_sink shorter = { .calls = 0 };
	ck_assert_int_ne(copy(plan, (struct bytes){ file.data, file.len - 1 }, &shorter, &fault), BLOCKZ_OK);
	blockz_plan_free(plan);
}
END_TEST

/* ---- New data that changes ---- */

START_TEST(data_changed_after_planning)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 500000), file = pack_raw(format, image);
	const uint64_t at[] = { raw.start, raw.start + 77777, raw.end - 1 };
	for (size_t i = 0; i < 3; i++) {
		struct bytes edited = bytes_copy(image);
		complement(edited, raw);
		struct blockz_edit edit = edit_from(edited, raw);
		struct blockz_plan *plan = plan_of(file, false, &edit, 1);
		edited.data[at[i]] ^= 4;
		struct plain_store self = { .bytes = bytes_copy(file) };
		struct blockz_store store = plain_store(&self);
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		ck_assert_int_eq(blockz_plan_apply(plan, &store, &fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_UNCHANGED);
		assert_bytes(self.bytes, file);
		ck_assert_int_eq(copy(plan, file, &sink, &fault), BLOCKZ_FAILED);
		blockz_plan_free(plan);
	}
}
END_TEST

/* Data whose last byte changes with the n-th read. */
struct restless {
	struct bytes bytes;
	unsigned reads, change_at;
};

static int restless_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct restless *self = ctx;
	if (++self->reads == self->change_at)
		self->bytes.data[raw.end - 1] ^= 1;
	struct blockz_source source = bytes_source(self->bytes);
	return source.ops->read(source.ctx, buf, len, off, got_ret);
}

START_TEST(data_changed_at_any_read)
{
	static const struct blockz_source_ops ops = { .read = restless_read };
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 500000), file = pack_raw(format, image), edited = bytes_copy(image);
	complement(edited, raw);
	enum blockz_status status = BLOCKZ_FAILED;
	unsigned change_at;
	for (change_at = 1; status != BLOCKZ_OK; change_at++) {
		struct restless data = { .bytes = bytes_copy(edited) };
		struct blockz_edit edit = { .range = raw, .data = { &ops, &data, edited.len }, .data_off = raw.start };
		struct blockz_plan *plan = plan_of(file, false, &edit, 1);
		struct memory_store self;
		struct blockz_fault fault;
		memory_store_init(&self, file.data, file.len);
		struct blockz_store store = memory_store(&self);
		data.reads = 0;
		data.change_at = change_at;
		status = blockz_plan_apply(plan, &store, &fault);
		struct bytes left = { self.file.seen, self.file.size };
		if (status == BLOCKZ_OK) {
			assert_decodes(format->name, left, edited);
		} else {
			ck_assert_int_eq(status, BLOCKZ_FAILED);
			ck_assert(fault.state == BLOCKZ_IMAGE_UNCHANGED || fault.state == BLOCKZ_IMAGE_ROLLED_BACK);
			assert_bytes(left, file);
		}
		ck_assert(!memory_store_has_journal(&self));
		memory_store_free(&self);
		blockz_plan_free(plan);
	}
	ck_assert_uint_gt(change_at, 10);
}
END_TEST

int main(void)
{
	TCase *c = case_new("apply");
	case_add_formats(c, files_that_cannot_be_read_fail);
	case_add_formats(c, stores_that_do_not_fit_or_fail);
	case_add_formats(c, copies_that_fail);
	case_add_formats(c, data_changed_after_planning);
	case_add_formats(c, data_changed_at_any_read);
	return case_run("apply", c);
}
