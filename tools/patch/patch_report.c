/* SPDX-License-Identifier: BSD-3-Clause */
/* The map by which a file was changed is that of its old content: what is said of the new one is read anew. */
#include "patch/patch_report.h"

#include <inttypes.h>

#include "cli/json.h"
#include "cli/size.h"

const char *recovery_text(enum blockz_recovery recovery)
{
	static const char *const texts[] = {
		[BLOCKZ_RECOVERY_NONE] = "no interrupted edit, image unchanged",
		[BLOCKZ_RECOVERY_FINISHED] = "an interrupted edit had been complete, image updated",
		[BLOCKZ_RECOVERY_UNDONE] = "an interrupted edit was undone, image as before",
		[BLOCKZ_RECOVERY_DROPPED] = "the journal was removed, image unchanged",
	};
	return texts[recovery];
}

/* ---- Writes */

/*
 * The write at *index, joined with those behind it that are parts of the same; *index is then behind them all.  False: there
 * is none.
 */
static bool next_place(const struct blockz_plan *plan, size_t *index, struct blockz_planned_write *place)
{
	struct blockz_planned_write next;
	if (!blockz_plan_write_at(plan, (*index)++, place))
		return false;
	while (place->kind == BLOCKZ_WRITTEN_PIECE && blockz_plan_write_at(plan, *index, &next) && next.kind == place->kind &&
	       next.file_off == place->file_off + place->length) {
		place->length += next.length;
		place->new_length += next.new_length;
		(*index)++;
	}
	return true;
}

static uint64_t count_places(const struct blockz_plan *plan)
{
	struct blockz_planned_write place;
	uint64_t count = 0;
	for (size_t i = 0; next_place(plan, &i, &place);)
		count++;
	return count;
}

/* ---- Text */

/* What was encoded again, and how that was written. */
static void say_renewed(const struct patch_report *report, FILE *out, const char *path)
{
	const struct blockz_plan_info info = blockz_plan_info(report->plan);
	char size[32];
	if (info.renewed.pieces == 0)
		return;
	size_human(size, sizeof(size), info.renewed.file_bytes);
	if (info.is_splice)
		cli_say(report->cli, out, path, "%s in %" PRIu64 " piece%s encoded again; a new file of %" PRIu64 " bytes, all else as it was",
			size, info.renewed.pieces, plural(info.renewed.pieces), info.file_size);
	else
		cli_say(report->cli, out, path, "%s in %" PRIu64 " piece%s encoded again in place", size, info.renewed.pieces,
			plural(info.renewed.pieces));
	if (info.renewed.raw_bytes > 0)
		cli_say(report->cli, out, path, "%" PRIu64 " byte%s in these were raw, and are encoded with the others",
			info.renewed.raw_bytes, plural(info.renewed.raw_bytes));
}

static bool is_resized(const struct patch_report *report)
{
	return report->old_image_size != BLOCKZ_UNKNOWN && blockz_plan_info(report->plan).image_size != report->old_image_size;
}

/* The backup of a GPT belongs at the end of a disk. */
static void say_backup(const struct patch_report *report, FILE *out, const char *path, uint64_t size)
{
	if (report->backup_end == 0 || report->backup_end == size)
		return;
	if (report->backup_end < size)
		cli_say(report->cli, out, path, "the backup of the partition table stays where it was, up to image offset %" PRIu64
			"; sgdisk --move-second-header moves it to the end", report->backup_end);
	else
		cli_say(report->cli, out, path, "the backup of the partition table, up to image offset %" PRIu64 ", is cut off; "
			"sgdisk --move-second-header makes another at the end", report->backup_end);
}

static void say_resized(const struct patch_report *report, FILE *out, const char *path)
{
	if (!is_resized(report))
		return;
	uint64_t size = blockz_plan_info(report->plan).image_size;
	cli_say(report->cli, out, path, "an image of %" PRIu64 " byte%s, in the place of %" PRIu64, size, plural(size),
		report->old_image_size);
	say_backup(report, out, path, size);
}

void patch_report_done(const struct patch_report *report, FILE *out, const char *path, const char *what)
{
	const struct blockz_plan_info info = blockz_plan_info(report->plan);
	uint64_t places = count_places(report->plan);
	if (info.writes == 0)
		cli_say(report->cli, out, path, "nothing to change%s", report->is_copy ? ", copied" : "");
	else
		cli_say(report->cli, out, path,
			"%s: %" PRIu64 " byte%s of image and %" PRIu64 " byte%s of checks changed in %" PRIu64 " place%s", what,
			info.payload_bytes, plural(info.payload_bytes), info.check_bytes, plural(info.check_bytes), places,
			plural(places));
	say_renewed(report, out, path);
	say_resized(report, out, path);
}

void patch_report_unverified(const struct patch_report *report, const char *path)
{
	uint64_t pieces = blockz_plan_info(report->plan).renewed.unverified;
	if (pieces > 0)
		cli_warn(report->cli, path, "no check stands over %" PRIu64 " piece%s alone of what was encoded again: damage that was "
			 "there before is still told by that of the whole file", pieces, plural(pieces));
}

void patch_report_unchecked(const struct patch_report *report, const char *path)
{
	uint64_t bytes = blockz_plan_info(report->plan).unchecked_bytes;
	if (bytes > 0)
		cli_warn(report->cli, path, "no check stands over %" PRIu64 " of the new bytes: nothing can see damage there",
			 bytes);
}

void patch_report_stale(const struct patch_report *report, const char *path)
{
	json_t *stale = report_stale(path, true, report->renewed), *name;
	size_t i;
	json_array_foreach(stale, i, name)
		cli_say(report->cli, stdout, json_string_value(name), "no longer fits");
	json_decref(stale);
}

/* What both ways would take, by which one was chosen. */
static void print_estimate(const struct blockz_plan_renewed *renewed)
{
	if (renewed->pieces > 0)
		printf("estimate: %.2f s in place, %.2f s as a new file; %" PRIu64 " piece%s to be encoded again\n",
		       (double)renewed->in_place_ns / 1e9, (double)renewed->splice_ns / 1e9, renewed->pieces, plural(renewed->pieces));
}

static const char *const kinds[] = {
	[BLOCKZ_WRITTEN_PAYLOAD] = "payload",
	[BLOCKZ_WRITTEN_CHECK] = "check",
	[BLOCKZ_WRITTEN_PIECE] = "piece",
	[BLOCKZ_WRITTEN_INDEX] = "index",
};

void patch_report_plan(const struct patch_report *report)
{
	struct blockz_planned_write write;
	const struct blockz_plan_info info = blockz_plan_info(report->plan);
	print_estimate(&info.renewed);
	if (info.writes > 0)
		printf("%14s %9s  %s\n", "FILE OFFSET", "LENGTH", "IMAGE OFFSET");
	for (size_t i = 0; next_place(report->plan, &i, &write);) {
		printf("%14" PRIu64 " %9" PRIu64, write.file_off, write.length);
		if (write.kind == BLOCKZ_WRITTEN_PAYLOAD)
			printf("  %" PRIu64 "\n", write.image_off);
		else if (write.new_length != write.length)
			printf("  %s, %" PRIu64 " now\n", kinds[write.kind], write.new_length);
		else
			printf("  %s\n", kinds[write.kind]);
	}
}

/* ---- JSON */

static void add_more(json_t *object, json_t *more)
{
	if (more != NULL)
		json_object_update(object, more);
	json_decref(more);
}

/* The new length stands only where it is another. */
static json_t *planned_json(const struct blockz_planned_write *write)
{
	json_t *object = json_pack("{s:o, s:o, s:o}", "file_offset", json_bytes(write->file_off), "length", json_bytes(write->length),
				   "image_offset", json_bytes(write->image_off));
	if (write->kind == BLOCKZ_WRITTEN_PIECE || write->kind == BLOCKZ_WRITTEN_INDEX)
		json_object_set_new(object, "kind", json_string(kinds[write->kind]));
	if (write->new_length != write->length)
		json_object_set_new(object, "new_length", json_bytes(write->new_length));
	return object;
}

/* Where pieces were encoded again: which, how, and what was expected of it. */
static void add_renewed(json_t *object, const struct blockz_plan *plan)
{
	if (plan == NULL)
		return;
	const struct blockz_plan_info info = blockz_plan_info(plan);
	const struct blockz_plan_renewed *renewed = &info.renewed;
	if (renewed->pieces == 0)
		return;
	json_object_set_new(object, "anywhere",
			    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f}", "way", info.is_splice ? "splice" : "in-place",
				      "pieces", json_bytes(renewed->pieces), "image_bytes", json_bytes(renewed->image_bytes),
				      "file_bytes", json_bytes(renewed->file_bytes), "unverified_pieces",
				      json_bytes(renewed->unverified), "raw_bytes", json_bytes(renewed->raw_bytes), "file_size", json_bytes(info.file_size),
				      "estimate_in_place", (double)renewed->in_place_ns / 1e9, "estimate_splice",
				      (double)renewed->splice_ns / 1e9));
}

static void add_resized(json_t *object, const struct patch_report *report)
{
	if (!is_resized(report))
		return;
	json_object_set_new(object, "resized",
			    json_pack("{s:o, s:o, s:o}", "from", json_bytes(report->old_image_size), "to",
				      json_bytes(blockz_plan_info(report->plan).image_size), "backup_end",
				      report->backup_end != 0 ? json_bytes(report->backup_end) : json_null()));
}

json_t *patch_report_plan_json(const struct patch_report *report, const struct report *file, json_t *more)
{
	json_t *object = report_json(file);
	json_t *plan = json_array();
	struct blockz_planned_write write;
	for (size_t i = 0; next_place(report->plan, &i, &write);)
		json_array_append_new(plan, planned_json(&write));
	json_object_set_new(object, "plan", plan);
	add_renewed(object, report->plan);
	add_resized(object, report);
	add_more(object, more);
	return object;
}

static void add_plan_info(json_t *object, const struct blockz_plan *plan)
{
	if (plan == NULL)
		return;
	const struct blockz_plan_info info = blockz_plan_info(plan);
	json_object_set_new(object, "writes", json_bytes(info.writes));
	json_object_set_new(object, "image_bytes", json_bytes(info.payload_bytes));
	json_object_set_new(object, "check_bytes", json_bytes(info.check_bytes));
}

json_t *patch_report_json(const struct patch_report *report, const struct report *file, json_t *more)
{
	static const char *const recovery_names[] = {
		[BLOCKZ_RECOVERY_NONE] = "none",
		[BLOCKZ_RECOVERY_FINISHED] = "finished",
		[BLOCKZ_RECOVERY_UNDONE] = "undone",
		[BLOCKZ_RECOVERY_DROPPED] = "dropped",
	};
	static const char *const overlay_names[] = {
		[OVERLAY_RECOVERY_COMMITTED] = "committed",
		[OVERLAY_RECOVERY_REMOVED] = "removed",
		[OVERLAY_RECOVERY_DROPPED] = "dropped",
	};
	json_t *object = report_json(file);
	json_object_set_new(object, "recovery", json_string(recovery_names[report->recovery]));
	if (report->overlay != OVERLAY_RECOVERY_NONE)
		json_object_set_new(object, "overlay", json_string(overlay_names[report->overlay]));
	add_plan_info(object, report->plan);
	add_renewed(object, report->plan);
	add_resized(object, report);
	add_more(object, more);
	return object;
}

static enum blockz_status take_digests(const struct patch_report *report, struct report *of_file,
				       const struct blockz_source *file, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	enum blockz_status status = blockz_map_read(file, &report->cli->map, &map, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work(report->cli, "digest", BLOCKZ_UNKNOWN);
	of_file->image_size = blockz_map_info(map).image_size;
	status = report_digests(of_file, file, report->image_digest ? map : NULL, &work, fault);
	cli_work_end(report->cli);
	blockz_map_free(map);
	return status;
}

enum blockz_status patch_report_print(const struct patch_report *report, const char *path, const struct blockz_source *file,
				      json_t *more, struct blockz_fault *fault)
{
	struct report of_file = {
		.path = path, .size = file->size, .renewed = report->renewed,
		.edited = report->plan != NULL && blockz_plan_info(report->plan).writes > 0,
	};
	enum blockz_status status = take_digests(report, &of_file, file, fault);
	if (status != BLOCKZ_OK) {
		json_decref(more);
		return status;
	}
	return cli_print_json(report->cli, patch_report_json(report, &of_file, more), fault);
}
