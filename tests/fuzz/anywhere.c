/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a file, and an edit of any of its image's bytes: where a plan is made, in place or of a new file, what comes of
 * it holds the edited image, by the format's own library, and is rejected if the old file was.  The first bytes of the input
 * choose the edit, the way and the size that the image gets.
 */
#include "edit.h"

enum { IMAGE_MAX = 1 << 20 };

/* The image after the edit, which makes noise of some of it, or another text. */
static void edit_image(struct bytes *image, const struct edit_choice *choice)
{
	bool noise = choice->more & 1;
	uint32_t state = choice->pattern;
	for (uint64_t i = 0; i < choice->len; i++) {
		state = state * 1103515245 + 12345;
		image->data[choice->start + i] ^= noise ? (uint8_t)(state >> 24) : (uint8_t)(choice->pattern * (i / 64 + 1));
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
static void edit_file(struct edit_case *self)
{
	static const struct blockz_store_ops ops = { .read = scratch_read, .write = scratch_write };
	const struct edited *edited = self->edited;
	struct bytes room = { 0 };
	const struct blockz_store scratch = { .ops = &ops, .ctx = &room };
	const struct blockz_anywhere how = {
		.way = (enum blockz_way)(self->choice.more / 2 % 3), .resize = self->choice.resize,
		.image_size = self->choice.image_size, .scratch = &scratch, .work = one_thread,
	};
	struct blockz_plan *plan = NULL;
	struct blockz_fault fault = { 0 };
	uint64_t verified_size;
	bool sound = edited->verdict == ACCEPTED && verify(self->file, false, &verified_size) == BLOCKZ_OK;
	enum blockz_status status = blockz_plan_anywhere(self->file, self->map, self->edits + self->first, 2 - self->first, &how,
							 &plan, &fault);
	check_fault(status, &fault);
	assert(status == BLOCKZ_OK || status == BLOCKZ_UNSUPPORTED || !sound);
	/* An index that tells lies about a good file may lead an edit astray; verify finds it. */
	if (status == BLOCKZ_OK && (sound || edited->verdict == REJECTED)) {
		if (blockz_plan_info(plan).is_splice)
			check_new_file(plan, self->file, edited, self->choice.resize);
		else
			check_plan(plan, edited, self->choice.fail_at);
	}
	blockz_plan_free(plan);
	free(room.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	edit_input(data, size, IMAGE_MAX, true, edit_image, edit_file);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, EDIT_PREFIX_LEN);
}
