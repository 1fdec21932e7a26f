/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans are made on one to three threads. */
#include "resized.h"

#include <string.h>

#include "growing_store.h"
#include "range/map.h"
#include "verbatim.h"

static void carry_out(const struct blockz_plan *plan, struct bytes file, struct outcome *outcome)
{
	struct growing_sink sink = { .calls = 0 };
	const struct blockz_source source = bytes_source(file);
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_fault fault;
	ck_assert_msg(blockz_plan_copy(plan, &source, &out, &fault) == BLOCKZ_OK, "%s", fault.text);
	outcome->info = blockz_plan_info(plan);
	outcome->file = sink.bytes;
	ck_assert_uint_eq(outcome->info.file_size, sink.bytes.len);
	assert_verbatim(plan, file, sink.bytes);
}

enum blockz_status resize_by(struct bytes file, bool scan, uint64_t size, const struct blockz_edit *edits, size_t count,
			     enum blockz_way way, struct outcome *outcome, struct blockz_fault *fault)
{
	struct growing_store scratch = { .len = 0 };
	struct blockz_store store = growing_store(&scratch);
	const struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, scan);
	const struct blockz_anywhere how = {
		.way = way, .resize = true, .image_size = size, .scratch = &store, .work = { .threads = 1 + (unsigned)rnd_below(3) },
	};
	struct blockz_plan *plan = NULL;
	enum blockz_status status = blockz_plan_anywhere(&source, map, edits, count, &how, &plan, fault);
	if (status == BLOCKZ_OK) {
		ck_assert_uint_eq(blockz_plan_info(plan).image_size, size);
		ck_assert(blockz_plan_info(plan).is_splice || size == blockz_map_info(map).image_size);
		carry_out(plan, file, outcome);
	}
	blockz_plan_free(plan);
	blockz_map_free(map);
	growing_store_free(&scratch);
	return status;
}

struct bytes resize(struct bytes file, bool scan, uint64_t size, const struct blockz_edit *edits, size_t count)
{
	struct outcome outcome = { .file.len = 0 };
	struct blockz_fault fault;
	enum blockz_status status = resize_by(file, scan, size, edits, count, BLOCKZ_WAY_AUTO, &outcome, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "to %ju: %s", (uintmax_t)size, fault.text);
	return outcome.file;
}

struct bytes plain_resize(struct bytes image, uint64_t size)
{
	struct bytes resized = bytes_new((size_t)size);
	memcpy(resized.data, image.data, image.len < resized.len ? image.len : resized.len);
	return resized;
}

struct blockz_edit edit_about(struct bytes edited, uint64_t old_size)
{
	uint64_t len = 1 + rnd_below(rnd_below(2) == 0 ? 100 : 100000), start = rnd_below(edited.len);
	if (rnd_below(2) == 0)
		start = old_size > len / 2 ? old_size - len / 2 : 0;
	start = start < edited.len ? start : edited.len - 1;
	len = len < edited.len - start ? len : edited.len - start;
	struct bytes data = bytes_copy(edited);
	if (rnd_below(5) == 0)
		memset(data.data + start, 0, (size_t)len);
	else if (rnd_below(2) == 0)
		rnd_fill(data.data + start, (size_t)len);
	else
		fill_text(data.data + start, (size_t)len);
	memcpy(edited.data + start, data.data + start, (size_t)len);
	return edit_from(data, (struct blockz_range){ start, start + len });
}
