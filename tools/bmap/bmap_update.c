/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapped ranges that the edit touches are read once: old and new bytes are hashed side by side. */
#include "bmap/bmap_update.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "cli/size.h"
#include "files/holes.h"
#include "patch/edited_window.h"

enum { CHUNK = 64 * 1024 };

/* One pass over the old map and the image. */
struct pass {
	struct bmap_update *update;
	const struct bmap_edit *edit;
	struct edited_window window;
	/* The range of the new map that is being hashed; empty: none. */
	struct bmap_range open;
	bool open_ends_in_hole;
	struct digest fresh;
	/* What is being read. */
	uint64_t pos;
	uint64_t old_size, new_size; /* of the image */
	struct digest *old; /* over the old bytes; NULL: not wanted */
	bool has_data;      /* it was not all zeros */
	char buf[CHUNK];
};

/* ---- The blocks that an edit touches */

static void round_to_blocks(const struct bmap *bmap, struct blockz_range *range)
{
	range->start /= bmap->block_size;
	range->end = (range->end - 1) / bmap->block_size + 1;
}

static void add_blocks(const struct bmap *bmap, struct blockz_range bytes, struct blockz_range *ranges, size_t *count)
{
	if (ranges != NULL) {
		round_to_blocks(bmap, &bytes);
		ranges[*count] = bytes;
	}
	(*count)++;
}

/* Fills ranges with the blocks in which a plan changes something; returns how many.  ranges NULL: counts only. */
static size_t blocks_of_plan(const struct bmap_edit *edit, const struct bmap *bmap, struct blockz_range *ranges)
{
	struct blockz_planned_write write;
	struct blockz_range change;
	size_t count = 0;
	for (size_t i = 0; blockz_plan_write_at(edit->plan, i, &write); i++)
		if (write.kind == BLOCKZ_WRITTEN_PAYLOAD)
			add_blocks(bmap, (struct blockz_range){ write.image_off, write.image_off + write.length }, ranges, &count);
	for (size_t i = 0; blockz_plan_change_at(edit->plan, i, &change); i++)
		add_blocks(bmap, change, ranges, &count);
	return count;
}

/* The blocks that the edits name and that can be patched; returns how many ranges.  ranges NULL: counts only. */
static size_t blocks_of_edits(const struct bmap_edit *edit, const struct bmap *bmap, struct blockz_range *ranges)
{
	size_t count = 0;
	for (size_t i = 0; i < edit->edits->count; i++) {
		struct blockz_range named = edit->edits->items[i].range;
		struct blockz_map_range range = { .end = named.start };
		while (range.end < named.end && blockz_map_range_at(edit->map, range.end, &range)) {
			if (!range.patchable)
				continue;
			if (ranges != NULL) {
				ranges[count].start = range.start > named.start ? range.start : named.start;
				ranges[count].end = range.end < named.end ? range.end : named.end;
				round_to_blocks(bmap, &ranges[count]);
			}
			count++;
		}
	}
	return count;
}

/* The mapped range in which one of both ends lies has other bytes then, and one block of it is touched. */
static size_t block_of_end(const struct pass *pass, struct blockz_range *range)
{
	const struct bmap *before = &pass->update->before;
	const uint64_t end = pass->old_size < pass->new_size ? pass->old_size : pass->new_size, block = (end - 1) / before->block_size;
	for (size_t i = 0; i < before->count && pass->old_size != pass->new_size; i++) {
		const struct bmap_range *mapped = &before->items[i];
		bool is_cut = mapped->end > block + 1 || end % before->block_size != 0;
		if (mapped->first <= block && block < mapped->end && is_cut) {
			*range = (struct blockz_range){ block, block + 1 };
			return 1;
		}
	}
	return 0;
}

static enum blockz_status find_touched(const struct pass *pass, struct blockz_range **ranges_ret, size_t *count_ret,
				       struct blockz_fault *fault)
{
	const struct bmap *bmap = &pass->update->before;
	bool changed = pass->update->changed;
	size_t room = changed ? blocks_of_plan(pass->edit, bmap, NULL) : blocks_of_edits(pass->edit, bmap, NULL);
	struct blockz_range *ranges = calloc(room + 2, sizeof(*ranges));
	if (ranges == NULL)
		return tool_fault_errno(fault, ENOMEM, "%zu touched ranges", room);
	size_t count = changed ? blocks_of_plan(pass->edit, bmap, ranges) : blocks_of_edits(pass->edit, bmap, ranges);
	count += block_of_end(pass, ranges + count);
	*count_ret = blockz_ranges_unite(ranges, count);
	*ranges_ret = ranges;
	return BLOCKZ_OK;
}

/* ---- Reading and hashing */

static int take_bytes(void *ctx, const void *bytes, size_t len)
{
	struct pass *pass = ctx;
	const char *from = bytes;
	while (len > 0) {
		size_t part = len < CHUNK ? len : CHUNK;
		if (pass->old != NULL)
			digest_update(pass->old, from, part);
		pass->has_data = pass->has_data || !bytes_are_zeros(from, part);
		size_t fresh = pass->pos < pass->new_size ? part : 0;
		fresh = pass->new_size - pass->pos < fresh ? (size_t)(pass->new_size - pass->pos) : fresh;
		if (pass->update->changed && fresh > 0) {
			memcpy(pass->buf, from, fresh);
			int error = edited_window_apply(&pass->window, pass->buf, fresh, pass->pos);
			if (error != 0)
				return error;
			digest_update(&pass->fresh, pass->buf, fresh);
		}
		pass->pos += part;
		from += part;
		len -= part;
	}
	return 0;
}

/* ---- The new map, range by range */

static enum blockz_status end_range(struct pass *pass, struct blockz_fault *fault)
{
	if (pass->open.first == pass->open.end)
		return BLOCKZ_OK;
	enum blockz_status status = digest_finish(&pass->fresh, pass->open.sha256, fault);
	digest_free(&pass->fresh);
	if (status == BLOCKZ_OK)
		status = bmap_append(&pass->update->after, &pass->open, fault);
	pass->open = (struct bmap_range){ 0 };
	pass->update->renewed_ranges++;
	return status;
}

/* Makes the open range one that goes on at block first; what was a hole joins what is hashed anyway beside it. */
static enum blockz_status open_range(struct pass *pass, uint64_t first, bool hole, struct blockz_fault *fault)
{
	bool going_on = pass->open.first < pass->open.end && pass->open.end == first;
	if (!pass->update->changed || (going_on && (hole || pass->open_ends_in_hole)))
		return BLOCKZ_OK;
	enum blockz_status status = end_range(pass, fault);
	if (status != BLOCKZ_OK)
		return status;
	pass->open = (struct bmap_range){ .first = first, .end = first };
	return digest_start(&pass->fresh, fault);
}

static void extend_range(struct pass *pass, uint64_t end, bool hole)
{
	if (pass->update->changed)
		pass->open.end = end;
	pass->open_ends_in_hole = hole;
}

/* What lies behind the old end was zeros, of which the old map knows nothing. */
static int take_appended(struct pass *pass, uint64_t end)
{
	static const char zeros[CHUNK];
	int error = 0;
	pass->old = NULL;
	while (pass->pos < end && error == 0)
		error = take_bytes(pass, zeros, end - pass->pos < CHUNK ? (size_t)(end - pass->pos) : CHUNK);
	return error;
}

/* Reads blocks into the open range of the new map, as open_range() makes it.  old NULL: they are of a hole. */
static enum blockz_status read_blocks(struct pass *pass, uint64_t first, uint64_t end, struct digest *old,
				      struct blockz_fault *fault)
{
	static const struct blockz_sink_ops ops = { .write = take_bytes };
	struct blockz_sink sink = { &ops, pass };
	const uint64_t block_size = pass->update->before.block_size;
	const struct blockz_range wanted = { first * block_size, end * block_size };
	const struct blockz_range bytes = {
		wanted.start < pass->old_size ? wanted.start : pass->old_size, wanted.end < pass->old_size ? wanted.end : pass->old_size,
	};
	enum blockz_status status = open_range(pass, first, old == NULL, fault);
	if (status != BLOCKZ_OK)
		return status;
	pass->pos = wanted.start;
	pass->old = old;
	pass->has_data = false;
	status = blockz_extract(pass->edit->file, pass->edit->map, bytes, &sink, pass->edit->work, fault);
	pass->update->image_is_to_blame = status != BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	int error = take_appended(pass, wanted.end < pass->new_size ? wanted.end : pass->new_size);
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "reading the edit again");
}

static enum blockz_status take_hole(struct pass *pass, uint64_t first, uint64_t end, struct blockz_fault *fault)
{
	enum blockz_status status = read_blocks(pass, first, end, NULL, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!pass->update->changed && pass->has_data)
		return tool_fault(fault, BLOCKZ_DAMAGED,
				  "blocks %" PRIu64 "-%" PRIu64 " hold data and are not mapped: it does not describe this "
				  "image; blockz-map --force --bmap makes it anew", first, end - 1);
	extend_range(pass, end, true);
	pass->update->added_blocks += pass->update->changed ? end - first : 0;
	return BLOCKZ_OK;
}

static enum blockz_status take_mapped(struct pass *pass, const struct bmap_range *range, struct blockz_fault *fault)
{
	struct digest old;
	char found[DIGEST_HEX];
	enum blockz_status status = digest_start(&old, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = read_blocks(pass, range->first, range->end, &old, fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&old, found, fault);
	digest_free(&old);
	if (status != BLOCKZ_OK)
		return status;
	if (range->sha256[0] != '\0' && strcmp(found, range->sha256) != 0)
		return tool_fault(fault, BLOCKZ_DAMAGED,
				  "blocks %" PRIu64 "-%" PRIu64 ": expected SHA-256 %.12s..., found %.12s...: it does not "
				  "describe this image; blockz-map --force --bmap makes it anew",
				  range->first, range->end - 1, range->sha256, found);
	const uint64_t blocks = bmap_blocks(&pass->update->after);
	extend_range(pass, range->end < blocks ? range->end : blocks, false);
	return BLOCKZ_OK;
}

static enum blockz_status take_untouched(struct pass *pass, const struct bmap_range *range, struct blockz_fault *fault)
{
	enum blockz_status status = end_range(pass, fault);
	return status == BLOCKZ_OK && pass->update->changed ? bmap_append(&pass->update->after, range, fault) : status;
}

/* Takes the mapped ranges and the touched parts of the holes between them in order. */
static enum blockz_status walk(struct pass *pass, const struct blockz_range *touched, size_t count,
			       struct blockz_fault *fault)
{
	const struct bmap *before = &pass->update->before;
	const struct blockz_range *end = touched + count;
	enum blockz_status status = BLOCKZ_OK;
	uint64_t pos = 0;
	const uint64_t blocks = bmap_blocks(&pass->update->after);
	for (size_t i = 0; i <= before->count && status == BLOCKZ_OK; i++) {
		const struct bmap_range *range = i < before->count && before->items[i].first < blocks ? &before->items[i] : NULL;
		uint64_t next = range != NULL ? range->first : blocks;
		for (; touched < end && touched->start < next && status == BLOCKZ_OK; touched++) {
			uint64_t from = touched->start > pos ? touched->start : pos;
			uint64_t to = touched->end < next ? touched->end : next;
			if (from < to)
				status = take_hole(pass, from, to, fault);
			if (touched->end > next)
				break;
		}
		if (range == NULL || status != BLOCKZ_OK)
			break;
		bool hit = touched < end && touched->start < range->end;
		status = hit ? take_mapped(pass, range, fault) : take_untouched(pass, range, fault);
		for (pos = range->end; touched < end && touched->end <= pos;)
			touched++;
	}
	return status == BLOCKZ_OK ? end_range(pass, fault) : status;
}

/* ---- The whole */

enum blockz_status bmap_update_open(struct bmap_update *update, const char *path, bool for_good, const struct audience *audience,
				    struct blockz_fault *fault)
{
	*update = (struct bmap_update)BMAP_UPDATE_INIT;
	const struct newfile_options options = { .replace = true, .audience = audience };
	update->path = path;
	enum blockz_status status =
		for_good ? output_open_file(&update->output, path, &options, fault) : BLOCKZ_OK;
	return status == BLOCKZ_OK ? bmap_read(&update->before, path, fault) : status;
}

static enum blockz_status make_map(struct bmap_update *update, const struct bmap_edit *edit, struct blockz_fault *fault)
{
	struct blockz_range *touched = NULL;
	size_t count = 0;
	struct pass *pass = calloc(1, sizeof(*pass));
	if (pass == NULL)
		return tool_fault_errno(fault, ENOMEM, "block map");
	pass->update = update;
	pass->edit = edit;
	pass->old_size = update->before.image_size;
	pass->new_size = update->after.image_size;
	enum blockz_status status = edited_window_start(&pass->window, edit->edits, fault);
	if (status == BLOCKZ_OK)
		status = find_touched(pass, &touched, &count, fault);
	if (status == BLOCKZ_OK)
		status = walk(pass, touched, count, fault);
	digest_free(&pass->fresh);
	edited_window_free(&pass->window);
	free(touched);
	free(pass);
	return status;
}

static enum blockz_status write_map(struct bmap_update *update, struct blockz_fault *fault)
{
	enum blockz_status status = bmap_write(&update->after, update->output.fd, fault);
	return status == BLOCKZ_OK ? output_sync(&update->output, fault) : status;
}

enum blockz_status bmap_update_make(struct bmap_update *update, const struct bmap_edit *edit, struct blockz_fault *fault)
{
	uint64_t size = blockz_map_info(edit->map).image_size;
	if (update->before.image_size != size)
		return tool_fault(fault, BLOCKZ_DAMAGED,
				  "it is of an image of %" PRIu64 " byte%s, expected %" PRIu64, update->before.image_size,
				  plural(update->before.image_size), size);
	update->changed = blockz_plan_info(edit->plan).writes > 0;
	update->after.image_size = blockz_plan_info(edit->plan).image_size;
	if (update->after.image_size == 0)
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "an empty image has no block map");
	update->after.block_size = update->before.block_size;
	enum blockz_status status = make_map(update, edit, fault);
	bool for_good = update->output.file.temporary != NULL;
	return status == BLOCKZ_OK && update->changed && for_good ? write_map(update, fault) : status;
}

enum blockz_status bmap_update_commit(struct bmap_update *update, struct blockz_fault *fault)
{
	return update->changed ? output_commit(&update->output, fault) : BLOCKZ_OK;
}

json_t *bmap_update_json(const struct bmap_update *update)
{
	return json_pack("{s:o, s:o, s:o}", "path", json_name(update->path), "added_blocks",
			 json_bytes(update->added_blocks), "renewed_ranges", json_bytes(update->renewed_ranges));
}

void bmap_update_close(struct bmap_update *update)
{
	output_close(&update->output);
	bmap_free(&update->before);
	bmap_free(&update->after);
	*update = (struct bmap_update)BMAP_UPDATE_INIT;
}
