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

/* ---- Text */

void patch_report_done(const struct patch_report *report, FILE *out, const char *path, const char *what)
{
	const struct blockz_plan_info info = blockz_plan_info(report->plan);
	if (info.writes == 0)
		cli_say(report->cli, out, path, "nothing to change%s", report->is_copy ? ", copied" : "");
	else
		cli_say(report->cli, out, path,
			"%s: %" PRIu64 " byte%s of image and %" PRIu64 " byte%s of checks changed in %" PRIu64 " place%s", what,
			info.payload_bytes, plural(info.payload_bytes), info.check_bytes, plural(info.check_bytes), info.writes,
			plural(info.writes));
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

void patch_report_plan(const struct patch_report *report)
{
	struct blockz_planned_write write;
	if (blockz_plan_info(report->plan).writes > 0)
		printf("%14s %9s  %s\n", "FILE OFFSET", "LENGTH", "IMAGE OFFSET");
	for (size_t i = 0; blockz_plan_write_at(report->plan, i, &write); i++) {
		printf("%14" PRIu64 " %9" PRIu64, write.file_off, write.length);
		if (write.image_off == BLOCKZ_UNKNOWN)
			puts("  check");
		else
			printf("  %" PRIu64 "\n", write.image_off);
	}
}

/* ---- JSON */

static void add_bmap(json_t *object, json_t *bmap)
{
	if (bmap != NULL)
		json_object_set_new(object, "bmap", bmap);
}

json_t *patch_report_plan_json(const struct patch_report *report, const struct report *file, json_t *bmap)
{
	json_t *object = report_json(file);
	json_t *plan = json_array();
	struct blockz_planned_write write;
	for (size_t i = 0; blockz_plan_write_at(report->plan, i, &write); i++)
		json_array_append_new(plan, json_pack("{s:o, s:o, s:o}", "file_offset", json_bytes(write.file_off),
						      "length", json_bytes(write.length), "image_offset",
						      json_bytes(write.image_off)));
	json_object_set_new(object, "plan", plan);
	add_bmap(object, bmap);
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

json_t *patch_report_json(const struct patch_report *report, const struct report *file, json_t *bmap)
{
	static const char *const recovery_names[] = {
		[BLOCKZ_RECOVERY_NONE] = "none",
		[BLOCKZ_RECOVERY_FINISHED] = "finished",
		[BLOCKZ_RECOVERY_UNDONE] = "undone",
		[BLOCKZ_RECOVERY_DROPPED] = "dropped",
	};
	json_t *object = report_json(file);
	json_object_set_new(object, "recovery", json_string(recovery_names[report->recovery]));
	add_plan_info(object, report->plan);
	add_bmap(object, bmap);
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
				      json_t *bmap, struct blockz_fault *fault)
{
	struct report of_file = {
		.path = path, .size = file->size, .renewed = report->renewed,
		.edited = report->plan != NULL && blockz_plan_info(report->plan).writes > 0,
	};
	enum blockz_status status = take_digests(report, &of_file, file, fault);
	if (status != BLOCKZ_OK) {
		json_decref(bmap);
		return status;
	}
	return cli_print_json(report->cli, patch_report_json(report, &of_file, bmap), fault);
}
