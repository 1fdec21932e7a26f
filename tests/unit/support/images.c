/* SPDX-License-Identifier: BSD-3-Clause */
/* Images are made by kind and length, and the library's calls are made with the options that tests mostly want. */
#include "images.h"

#include <stdlib.h>
#include <string.h>

#include "judge.h"

/* ---- Images ---- */

struct blockz_range rnd_range(uint64_t limit)
{
	uint64_t start = rnd_below(limit), longest = limit - start;
	if (rnd() % 3 == 0 && longest > 100)
		longest = 100;
	return (struct blockz_range){ start, start + 1 + rnd_below(longest) };
}

void fill_text(uint8_t *data, size_t len)
{
	static const char *const words[] = { "linux ",  "/boot/vmlinuz", "options ", "root=UUID=", "console=ttyS0 ",
					     "initrd ", "the ",          "\n",       "ro quiet ",  "of " };
	for (size_t pos = 0; pos < len;) {
		const char *word = words[rnd_below(10)];
		for (; *word != 0 && pos < len; word++)
			data[pos++] = (uint8_t)*word;
		if (pos < len && rnd() % 4 == 0)
			data[pos++] = (uint8_t)('0' + rnd() % 10);
	}
}

static void fill_lines(uint8_t *data, size_t len)
{
	for (size_t pos = 0; pos < len; pos += 4 * KIB)
		fill_text(data + pos, len - pos < 200 ? len - pos : 200);
}

static void fill_disk(uint8_t *data, size_t len)
{
	for (size_t pos = 0; pos < len;) {
		size_t run = 1 + (size_t)rnd_below(rnd() % 4 ? 20000 : 300000), back = 1 + (size_t)rnd_below(30000);
		run = run < len - pos ? run : len - pos;
		switch (rnd() % 4) {
		case 0:
			rnd_fill(data + pos, run);
			break;
		case 1:
			fill_text(data + pos, run);
			break;
		case 2:
			for (size_t i = pos; i < pos + run && i >= back; i++)
				data[i] = data[i - back];
			break;
		default: /* zeros, as they are */
			break;
		}
		pos += run;
	}
}

struct bytes image_new(enum image_kind kind, size_t len)
{
	struct bytes image = bytes_new(len);
	if (kind == IMAGE_NOISE)
		rnd_fill(image.data, len);
	else if (kind == IMAGE_TEXT)
		fill_text(image.data, len);
	else if (kind == IMAGE_LINES)
		fill_lines(image.data, len);
	else if (kind == IMAGE_DISK)
		fill_disk(image.data, len);
	return image;
}

/* ---- Files ---- */

struct bytes pack_image(const struct blockz_format *format, struct bytes image, struct blockz_pack_options options,
			struct blockz_pack_result *result_ret)
{
	struct growing_sink sink = { .room = 0 };
	struct blockz_sink out = growing_sink_rewritable(&sink);
	struct blockz_source source = bytes_source(image);
	struct blockz_pack_result result;
	struct blockz_fault fault = { .text = "" };
	options.format = format->name;
	enum blockz_status status = blockz_pack(&source, &out, &options, &result, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "pack: %s", fault.text);
	ck_assert_uint_eq(result.image_size, image.len);
	ck_assert_uint_eq(result.file_size, sink.bytes.len);
	if (result_ret != NULL)
		*result_ret = result;
	return bytes_copy(sink.bytes);
}

struct blockz_map *map_of(struct blockz_source file, bool scan)
{
	struct blockz_map *map = NULL;
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = blockz_map_read(&file, &(struct blockz_map_options){ .scan = scan }, &map, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "map: %s", fault.text);
	return map;
}

struct blockz_edit edit_from(struct bytes edited, struct blockz_range range)
{
	return (struct blockz_edit){ .range = range, .data = bytes_source(edited), .data_off = range.start };
}

void complement(struct bytes image, struct blockz_range range)
{
	for (uint64_t i = range.start; i < range.end; i++)
		image.data[i] = (uint8_t)~image.data[i];
}

/* Carries out a plan; only what it names may be written, and that once. */
static void apply(struct bytes file, const struct blockz_plan *plan)
{
	struct plain_store self = { .bytes = file };
	struct blockz_store store = plain_store(&self);
	struct blockz_planned_write write;
	ck_assert_int_eq(blockz_plan_apply(plan, &store, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(self.log_count, blockz_plan_info(plan).writes);
	ck_assert_uint_eq(self.syncs, self.log_count > 0);
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++) {
		ck_assert_uint_eq(write.file_off, self.log[i].off);
		ck_assert_uint_eq(write.length, self.log[i].len);
	}
}

static enum blockz_status plan_new(struct bytes file, bool scan, const struct blockz_edit *edits, size_t count,
				   struct blockz_plan **plan_ret, struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, scan);
	struct blockz_work work = { .threads = 2 };
	enum blockz_status status = blockz_plan_new(&source, map, edits, count, &work, plan_ret, fault);
	ck_assert_int_eq(*plan_ret != NULL, status == BLOCKZ_OK);
	blockz_map_free(map);
	return status;
}

struct blockz_plan *plan_of(struct bytes file, bool scan, const struct blockz_edit *edits, size_t count)
{
	struct blockz_plan *plan = NULL;
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = plan_new(file, scan, edits, count, &plan, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "plan: %s", fault.text);
	return plan;
}

enum blockz_status patch_file(struct bytes file, bool scan, const struct blockz_edit *edits, size_t count,
			      struct blockz_plan_info *info_ret, struct blockz_fault *fault)
{
	struct blockz_plan *plan = NULL;
	enum blockz_status status = plan_new(file, scan, edits, count, &plan, fault);
	if (status == BLOCKZ_OK) {
		apply(file, plan);
		if (info_ret != NULL)
			*info_ret = blockz_plan_info(plan);
	}
	blockz_plan_free(plan);
	return status;
}

void patch_range(struct bytes file, bool scan, struct bytes edited, struct blockz_range range)
{
	struct blockz_edit edit = edit_from(edited, range);
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(patch_file(file, scan, &edit, 1, NULL, &fault) == BLOCKZ_OK, "patch: %s", fault.text);
}

struct bytes patch_and_back(const char *format, struct bytes file, bool scan, struct bytes image,
			    const struct blockz_range *ranges, size_t count, bool checked)
{
	struct bytes edited = bytes_copy(image), patched = bytes_copy(file);
	struct blockz_edit *edits = keep(2 * count * sizeof(*edits));
	struct blockz_plan_info info;
	struct blockz_fault fault = { .text = "" };
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++) {
		complement(edited, ranges[i]);
		edits[i] = edit_from(edited, ranges[i]);
		edits[count + i] = edit_from(image, ranges[i]);
		bytes += ranges[i].end - ranges[i].start;
	}
	ck_assert_msg(patch_file(patched, scan, edits, count, &info, &fault) == BLOCKZ_OK, "patch: %s", fault.text);
	ck_assert_uint_eq(info.payload_bytes, bytes);
	ck_assert_uint_eq(info.unchecked_bytes, checked ? 0 : bytes);
	ck_assert_int_eq(info.check_bytes > 0, checked);
	assert_decodes(format, patched, edited);
	assert_verifies(patched);
	struct bytes between = bytes_copy(patched);
	ck_assert_int_eq(patch_file(patched, scan, edits + count, count, &info, &fault), BLOCKZ_OK);
	assert_bytes(patched, file);
	return between;
}

enum blockz_status verify_file(struct bytes file, bool quick, struct blockz_verify_result *result_ret,
			  struct blockz_fault *fault)
{
	struct blockz_memory memory = { file.data, file.len };
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_verify_options options = { .quick = quick, .work.threads = 1 };
	return blockz_verify(&source, &options, result_ret, fault);
}

void assert_verifies(struct bytes file)
{
	struct blockz_verify_result result;
	struct blockz_fault fault = { .text = "" };
	for (int quick = 0; quick < 2; quick++)
		ck_assert_msg(verify_file(file, quick, &result, &fault) == BLOCKZ_OK, "verify: %s", fault.text);
}

bool extracts(struct bytes file, bool scan, struct bytes *image_ret)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = NULL;
	struct growing_sink sink = { .room = 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_work work = { .threads = 1 };
	bool good = blockz_map_read(&source, &(struct blockz_map_options){ .scan = scan }, &map, NULL) == BLOCKZ_OK &&
		    blockz_extract(&source, map, (struct blockz_range){ 0, blockz_map_info(map).image_size }, &out, &work,
				   NULL) == BLOCKZ_OK;
	blockz_map_free(map);
	*image_ret = sink.bytes;
	return good;
}

void assert_reads(const struct blockz_format *format, struct bytes file, struct bytes image)
{
	struct bytes room = { malloc(image.len + 1), image.len }, found;
	ck_assert_msg(judge_any(format->name, file, room, &room.len), "the judge refuses the file");
	assert_bytes(room, image);
	free(room.data);
	assert_verifies(file);
	for (int scan = 0; scan < 2; scan++) {
		ck_assert(extracts(file, scan, &found));
		assert_bytes(found, image);
	}
}

/* What is called good is so, and what is not has a reason. */
static bool judged_good(const struct blockz_format *format, struct bytes file, struct bytes room, size_t *len_ret)
{
	struct blockz_verify_result result;
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	struct bytes image;
	enum blockz_status status = verify_file(file, false, &result, &fault);
	if (status == BLOCKZ_OK) {
		ck_assert(judge_any(format->name, file, room, len_ret));
		for (int scan = 0; scan < 2; scan++) {
			ck_assert(extracts(file, scan, &image));
			assert_bytes(image, (struct bytes){ room.data, *len_ret });
		}
		ck_assert_int_eq(verify_file(file, true, &result, &fault), BLOCKZ_OK);
		return result.map.appended_bytes == 0;
	}
	if ((status != BLOCKZ_DAMAGED && status != BLOCKZ_UNSUPPORTED && status != BLOCKZ_LIMIT) ||
	    status != fault.status || fault.text[0] == 0 ||
	    (fault.offset > file.len && fault.offset != BLOCKZ_UNKNOWN))
		ck_abort_msg("status %d, offset %llu, %s", status, (unsigned long long)fault.offset, fault.text);
	verify_file(file, true, &result, &fault);
	for (int scan = 0; scan < 2; scan++)
		extracts(file, scan, &image);
	return false;
}

bool called_good(const struct blockz_format *format, struct bytes file, struct bytes room, size_t *len_ret)
{
	const struct kept *mark = kept_so_far();
	bool good = judged_good(format, file, room, len_ret);
	forget_since(mark);
	return good;
}
