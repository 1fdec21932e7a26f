/* SPDX-License-Identifier: BSD-3-Clause */
/* Each callback keeps what it was called with, and may be the one that fails. */
#include "splices.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

struct splice_record splice_record(struct bytes file, struct bytes image, struct bytes edited)
{
	return (struct splice_record){ .file = file, .image = image, .edited = edited, .told = bytes_copy(image) };
}

static enum blockz_status fail_here(struct splice_record *record, struct blockz_fault *fault)
{
	return ++record->calls == record->fail_at ? fault_set(fault, BLOCKZ_FAILED, 77, "as the test wants it") : BLOCKZ_OK;
}

enum blockz_status record_lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splice_record *record = ctx;
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(off + len, record->edited.len);
	ck_assert_mem_eq(bytes, record->image.data + off, len);
	memcpy(bytes, record->edited.data + off, len);
	return fail_here(record, fault);
}

static struct replaced *add_replaced(struct splice_record *record)
{
	if (record->replaced_count == record->replaced_room) {
		struct replaced *more = keep((2 * record->replaced_room + 16) * sizeof(*more));
		if (record->replaced_count > 0)
			memcpy(more, record->replaced, record->replaced_count * sizeof(*more));
		record->replaced = more;
		record->replaced_room = 2 * record->replaced_room + 16;
	}
	return &record->replaced[record->replaced_count++];
}

enum blockz_status record_replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct splice_record *record = ctx;
	ck_assert_uint_lt(old.start, old.end);
	ck_assert_uint_le(old.end, record->file.len);
	ck_assert(!record->keep_length || len == old.end - old.start);
	struct replaced *replaced = add_replaced(record);
	*replaced = (struct replaced){ old, bytes_new(len) };
	memcpy(replaced->bytes.data, bytes, len);
	record->replaced_len += old.end - old.start;
	record->growth += len - (old.end - old.start);
	return fail_here(record, fault);
}

enum blockz_status record_changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	struct splice_record *record = ctx;
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_ge(off, record->image_pos);
	ck_assert_uint_le(off + len, record->image.len);
	ck_assert_mem_eq(old, record->image.data + off, len);
	ck_assert_mem_eq(new, record->edited.data + off, len);
	ck_assert(old[0] != new[0] && old[len - 1] != new[len - 1]);
	memcpy(record->told.data + off, new, len);
	record->image_pos = off + len;
	return fail_here(record, fault);
}

static int by_start(const void *a, const void *b)
{
	const struct replaced *x = a, *y = b;
	return (x->old.start > y->old.start) - (x->old.start < y->old.start);
}

void record_sort(struct splice_record *record, bool in_order)
{
	if (record->replaced_count > 0 && !in_order)
		qsort(record->replaced, record->replaced_count, sizeof(*record->replaced), by_start);
	for (size_t i = 1; i < record->replaced_count; i++)
		ck_assert_uint_le(record->replaced[i - 1].old.end, record->replaced[i].old.start);
}

struct bytes record_result(const struct splice_record *record)
{
	struct bytes out = { 0 };
	size_t room = 0;
	uint64_t pos = 0;
	for (size_t i = 0; i < record->replaced_count; i++) {
		const struct replaced *replaced = &record->replaced[i];
		bytes_append(&out, &room, record->file.data + pos, replaced->old.start - pos);
		bytes_append(&out, &room, replaced->bytes.data, replaced->bytes.len);
		pos = replaced->old.end;
	}
	bytes_append(&out, &room, record->file.data + pos, record->file.len - pos);
	return out;
}

void edit_range(struct bytes edited, struct blockz_range range)
{
	uint8_t *bytes = edited.data + range.start;
	size_t len = range.end - range.start;
	switch (rnd() % 5) {
	case 0:
		fill_text(bytes, len);
		break;
	case 1:
		memmove(bytes, edited.data + rnd_below(edited.len - len + 1), len);
		break;
	case 2:
		rnd_fill(bytes, len);
		break;
	case 3:
		memset(bytes, 0, len);
		break;
	default:
		complement(edited, range);
	}
}

size_t rnd_edits(uint64_t image_len, uint64_t long_len, struct blockz_range ranges[SPLICE_EDITS_MAX])
{
	size_t count = 1 + rnd_below(5);
	for (size_t i = 0; i < count; i++) {
		uint64_t len_max = rnd() % 4 == 0 ? long_len : rnd() % 2 ? 64 : 5000;
		uint64_t len = 1 + rnd_below(len_max < image_len ? len_max : image_len);
		uint64_t start = rnd() % 8 == 0 ? 0 : rnd() % 8 == 0 ? image_len - len : rnd_below(image_len - len + 1);
		ranges[i] = (struct blockz_range){ start, start + len };
	}
	return blockz_ranges_unite(ranges, count);
}
