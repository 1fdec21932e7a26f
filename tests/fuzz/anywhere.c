/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a file, and an edit of any of its image's bytes: where a plan is made, in place or of a new file, what comes of
 * it holds the edited image, by the format's own library, and is rejected if the old file was.  The first bytes of the input
 * choose the edit, the way and the size that the image gets.
 */
#include "base/bytes.h"
#include "reseal.h"

enum { PREFIX_LEN = 13, IMAGE_MAX = 1 << 20 };

struct choice {
	uint64_t start, len;
	uint8_t pattern;
	bool overlapping, from_noise;
	enum blockz_way way;
	uint64_t fail_at;
	bool resize;
	uint64_t image_size;
};

static struct choice read_choice(const uint8_t *p, uint64_t old_size)
{
	const bool resize = p[7] & 0x80;
	const uint64_t image_size = resize ? load_le32(p + 9) % (2 * old_size + 100000) : old_size;
	uint64_t start = load_le32(p) % (image_size + 1), len = load_le16(p + 4);
	return (struct choice){
		.start = start,
		.len = len < image_size - start ? len : image_size - start,
		.pattern = p[6],
		.overlapping = p[7] & 2,
		.from_noise = p[7] & 4,
		.way = (enum blockz_way)(p[7] / 8 % 3),
		.fail_at = p[8] < 128 ? p[8] : UINT64_MAX,
		.resize = resize,
		.image_size = image_size,
	};
}

/* The image after the edit, which makes noise of some of it, or another text. */
static void edit_image(struct bytes *image, const struct choice *choice)
{
	uint32_t state = choice->pattern;
	for (uint64_t i = 0; i < choice->len; i++) {
		state = state * 1103515245 + 12345;
		image->data[choice->start + i] ^= choice->from_noise ? (uint8_t)(state >> 24) : (uint8_t)(choice->pattern * (i / 64 + 1));
	}
}

/* ---- The scratch: as long as it was written to */

static int scratch_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	return bytes_read(ctx, buf, len, off, got_ret);
}

static int scratch_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct bytes *bytes = ctx;
	if (off + len > bytes->len)
		bytes_resize(bytes, (size_t)off + len);
	memcpy(bytes->data + off, buf, len);
	return 0;
}

/* ---- A plan of a new file */

/* The writes ascend, lie within the old file, and all between them stands in the new one as it was. */
static void check_splice(const struct blockz_plan *plan, const struct bytes *old, const struct bytes *new)
{
	struct blockz_planned_write write;
	uint64_t pos = 0, now = 0;
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++) {
		uint64_t kept = write.file_off - pos;
		assert(write.file_off >= pos && write.length <= old->len - write.file_off);
		assert(kept + write.new_length <= new->len - now);
		assert(memcmp(old->data + pos, new->data + now, (size_t)kept) == 0);
		pos = write.file_off + write.length;
		now += kept + write.new_length;
	}
	assert(new->len - now == old->len - pos);
	assert(memcmp(old->data + pos, new->data + now, old->len - (size_t)pos) == 0);
}

/* What was rejected may be good once a part of it is left out. */
static void check_new_file(const struct blockz_plan *plan, const struct blockz_source *file, const struct edited *edited,
			   bool may_be_good)
{
	struct bytes new = { 0 }, image = { 0 };
	struct blockz_sink sink = bytes_sink(&new);
	assert(blockz_plan_copy(plan, file, &sink, NULL) == BLOCKZ_OK);
	assert(new.len == blockz_plan_info(plan).file_size);
	check_splice(plan, edited->old_file, &new);
	enum verdict verdict = judge_file(new.data, new.len, SIZE_MAX, &image);
	assert(verdict == edited->verdict || (may_be_good && edited->verdict == REJECTED));
	if (edited->verdict == ACCEPTED)
		assert(bytes_equal(&image, &edited->image));
	free(new.data);
	free(image.data);
}

/* ---- The edit */

/* An edit of a good file is refused only where a piece does not fit, or is one that cannot be encoded. */
static void edit_file(const struct blockz_source *file, const struct blockz_map *map, const struct edited *edited,
		      const struct choice *choice, bool sound)
{
	static const struct blockz_store_ops ops = { .read = scratch_read, .write = scratch_write };
	struct bytes room = { 0 };
	const struct blockz_store scratch = { .ops = &ops, .ctx = &room };
	const struct blockz_anywhere how = {
		.way = choice->way, .resize = choice->resize, .image_size = choice->image_size, .scratch = &scratch, .work = one_thread,
	};
	struct blockz_memory memory = bytes_memory(&edited->image);
	struct blockz_source data = blockz_source_memory(&memory);
	/* The first one, if it is there, writes something else over a part of the second, which wins. */
	struct blockz_edit edits[2] = {
		{ .range = { choice->start + choice->len / 4, choice->start + choice->len / 2 }, .data = data },
		{ .range = { choice->start, choice->start + choice->len }, .data = data, .data_off = choice->start },
	};
	size_t first = choice->overlapping ? 0 : 1;
	struct blockz_plan *plan = NULL;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_plan_anywhere(file, map, edits + first, 2 - first, &how, &plan, &fault);
	check_fault(status, &fault);
	assert(status == BLOCKZ_OK || status == BLOCKZ_UNSUPPORTED || !sound);
	/* An index that tells lies about a good file may lead an edit astray; verify finds it. */
	if (status == BLOCKZ_OK && (sound || edited->verdict == REJECTED)) {
		if (blockz_plan_info(plan).is_splice)
			check_new_file(plan, file, edited, choice->resize);
		else
			check_plan(plan, edited, choice->fail_at);
	}
	blockz_plan_free(plan);
	free(room.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < PREFIX_LEN)
		return 0;
	struct bytes old = { 0 }, old_image = { 0 };
	bytes_append(&old, data + PREFIX_LEN, size - PREFIX_LEN);
	struct blockz_memory memory = bytes_memory(&old);
	struct blockz_source file = blockz_source_memory(&memory);
	struct edited edited = { .old_file = &old };
	struct blockz_map *map = NULL;
	uint64_t verified_size;
	edited.verdict = judge_file(old.data, old.len, IMAGE_MAX, &old_image);
	if (edited.verdict != TOO_LARGE && read_map(&file, data[7] & 1, &map) == BLOCKZ_OK && map->image_size == old_image.len) {
		struct choice choice = read_choice(data, map->image_size);
		bytes_append(&edited.image, old_image.data, old_image.len);
		bytes_resize(&edited.image, (size_t)choice.image_size);
		edit_image(&edited.image, &choice);
		edit_file(&file, map, &edited, &choice, edited.verdict == ACCEPTED && verify(&file, false, &verified_size) == BLOCKZ_OK);
	}
	blockz_map_free(map);
	free(edited.image.data);
	free(old_image.data);
	free(old.data);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, PREFIX_LEN);
}
