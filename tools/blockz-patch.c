/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-patch: change raw ranges of a disk image inside its compressed file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bmap/bmap_update.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "cli/reading.h"
#include "files/report.h"
#include "cli/signals.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "disks/partition.h"
#include "files/audience.h"
#include "files/compressed.h"
#include "files/output.h"
#include "patch/copy.h"
#include "patch/edits.h"
#include "patch/patch_options.h"

/* Everything one call holds; job_close() frees it, whatever was opened. */
struct job {
	struct cli cli;
	struct patch_options options;
	struct compressed file;
	struct audience audience; /* of FILE and the inputs */
	struct blockz_map *map;
	struct partitions partitions;
	struct edits edits;
	struct blockz_plan *plan;
	struct bmap_update bmap; /* closed without --bmap */
	const char *culprit; /* what the fault speaks of; NULL: FILE */
	enum blockz_recovery recovery;
	struct blockz_fault fault;
};

static void job_close(struct job *job)
{
	bmap_update_close(&job->bmap);
	blockz_plan_free(job->plan);
	edits_free(&job->edits);
	partitions_free(&job->partitions);
	blockz_map_free(job->map);
	compressed_close(&job->file);
	patch_options_free(&job->options);
}

/* ---- --bmap: steps around an edit, which do nothing without it */

static enum blockz_status open_bmap(struct job *job)
{
	if (job->options.bmap == NULL)
		return BLOCKZ_OK;
	enum blockz_status status =
		bmap_update_open(&job->bmap, job->options.bmap, !job->options.dry_run, &job->audience, &job->fault);
	if (status != BLOCKZ_OK)
		job->culprit = job->options.bmap;
	return status;
}

static enum blockz_status make_bmap(struct job *job)
{
	if (job->options.bmap == NULL)
		return BLOCKZ_OK;
	struct blockz_work work = cli_work(&job->cli, "block map", BLOCKZ_UNKNOWN, 0);
	struct bmap_edit edit = {
		.file = &job->file.source, .map = job->map, .plan = job->plan, .edits = &job->edits, .work = &work,
	};
	enum blockz_status status = bmap_update_make(&job->bmap, &edit, &job->fault);
	cli_work_end(&job->cli);
	if (status != BLOCKZ_OK && !job->bmap.image_is_to_blame)
		job->culprit = job->options.bmap;
	return status;
}

/* From now on the new block map will have its name as soon as the image is as it says. */
static enum blockz_status hold_bmap(struct job *job)
{
	if (!job->bmap.changed)
		return BLOCKZ_OK;
	enum blockz_status status = output_hold(&job->bmap.output, &job->fault);
	if (status != BLOCKZ_OK)
		job->culprit = job->options.bmap;
	return status;
}

/* image: the file that the new map is of. */
static enum blockz_status commit_bmap(struct job *job, const char *image)
{
	struct blockz_fault why;
	enum blockz_status status = bmap_update_commit(&job->bmap, &why);
	if (status == BLOCKZ_OK)
		return status;
	job->culprit = job->options.bmap;
	char *map_word = shell_word(job->options.bmap), *image_word = shell_word(image);
	tool_fault(&job->fault, status, "%s; make it anew: blockz-map --force --bmap %s %s", why.text,
		   map_word != NULL ? map_word : "?", image_word != NULL ? image_word : "?");
	free(map_word);
	free(image_word);
	job->fault.state = job->cli.state;
	return status;
}

/* ---- From options to a plan */

static enum blockz_status add_partition(struct job *job)
{
	const struct partition *partition = NULL;
	enum blockz_status status =
		partitions_of_file(&job->file.source, job->map, job->cli.sector_size, &job->partitions, &job->fault);
	if (status == BLOCKZ_OK)
		status = partition_find(&job->partitions, job->options.partition, &partition, &job->fault);
	/* A file system is written back whole even where only some blocks of it are raw. */
	return status == BLOCKZ_OK ?
		       edits_add_input(&job->edits, job->options.input, partition->range, true, &job->fault) :
		       status;
}

static enum blockz_status add_edits(struct job *job)
{
	const struct patch_options *options = &job->options;
	enum blockz_status status = BLOCKZ_OK;
	struct blockz_range place = { options->offset, blockz_map_info(job->map).image_size };
	if (options->base != NULL)
		status = edits_add_difference(&job->edits, options->from, options->base, place.end, &job->fault);
	else if (options->from != NULL)
		status = edits_add_image(&job->edits, options->from, place.end, &job->fault);
	else if (options->partition != NULL)
		status = add_partition(job);
	else if (options->has_offset)
		status = edits_add_input(&job->edits, options->input, place, false, &job->fault);
	for (size_t i = 0; i < options->set_count && status == BLOCKZ_OK; i++) {
		place.start = options->sets[i].off;
		status = edits_add_input(&job->edits, options->sets[i].path, place, false, &job->fault);
	}
	return status;
}

/* They stay as they are, in the file and in a copy. */
static void warn_appended(const struct job *job)
{
	const struct blockz_map_info info = blockz_map_info(job->map);
	reading_warn(&job->cli, job->options.file, &info);
}

/* The block map is locked before the image is read, and made anew before the image is changed. */
static enum blockz_status make_plan(struct job *job)
{
	audience_add_compressed(&job->audience, &job->file);
	enum blockz_status status = open_bmap(job);
	if (status == BLOCKZ_OK)
		status = blockz_map_read(&job->file.source, &job->cli.map, &job->map, &job->fault);
	if (status == BLOCKZ_OK)
		warn_appended(job);
	if (status == BLOCKZ_OK)
		status = add_edits(job);
	if (status != BLOCKZ_OK)
		return status;
	struct blockz_work work = cli_work(&job->cli, "compare", BLOCKZ_UNKNOWN, 0);
	status = blockz_plan_new(&job->file.source, job->map, job->edits.items, job->edits.count, &work, &job->plan,
				 &job->fault);
	cli_work_end(&job->cli);
	return status == BLOCKZ_OK ? make_bmap(job) : status;
}

/* ---- What is said at the end */

static const char *const recovery_names[] = {
	[BLOCKZ_RECOVERY_NONE] = "none",
	[BLOCKZ_RECOVERY_FINISHED] = "finished",
	[BLOCKZ_RECOVERY_UNDONE] = "undone",
	[BLOCKZ_RECOVERY_DROPPED] = "dropped",
};

static const char *const recovery_texts[] = {
	[BLOCKZ_RECOVERY_NONE] = "no interrupted edit, image unchanged",
	[BLOCKZ_RECOVERY_FINISHED] = "an interrupted edit had been complete, image updated",
	[BLOCKZ_RECOVERY_UNDONE] = "an interrupted edit was undone, image as before",
	[BLOCKZ_RECOVERY_DROPPED] = "the journal was removed, image unchanged",
};

static void say_done(const struct job *job, FILE *out, const char *path, const char *what)
{
	struct blockz_plan_info info = blockz_plan_info(job->plan);
	if (info.writes == 0)
		cli_say(&job->cli, out, path, "nothing to change%s", job->options.output != NULL ? ", copied" : "");
	else
		cli_say(&job->cli, out, path,
			"%s: %" PRIu64 " byte%s of image and %" PRIu64 " byte%s of checks changed in %" PRIu64 " place%s", what,
			info.payload_bytes, plural(info.payload_bytes), info.check_bytes, plural(info.check_bytes), info.writes,
			plural(info.writes));
}

static void warn_unchecked(const struct job *job, const char *path)
{
	uint64_t bytes = blockz_plan_info(job->plan).unchecked_bytes;
	if (bytes > 0)
		cli_warn(&job->cli, path, "no check stands over %" PRIu64 " of the new bytes: nothing can see damage there",
			 bytes);
}

static void say_stale(const struct job *job, const char *path)
{
	json_t *stale = report_stale(path, true, job->options.bmap), *name;
	size_t i;
	json_array_foreach(stale, i, name)
		cli_say(&job->cli, stdout, json_string_value(name), "no longer fits");
	json_decref(stale);
}

static void say_bmap(const struct job *job, FILE *out)
{
	const struct bmap_update *bmap = &job->bmap;
	if (bmap->changed)
		cli_say(&job->cli, out, bmap->path, "%s: %" PRIu64 " block%s more, %" PRIu64 " new checksum%s",
			job->options.dry_run ? "would be renewed" : "renewed", bmap->added_blocks,
			plural(bmap->added_blocks), bmap->renewed_ranges, plural(bmap->renewed_ranges));
}

static void add_plan_info(json_t *object, const struct job *job)
{
	json_object_set_new(object, "recovery", json_string(recovery_names[job->recovery]));
	if (job->plan == NULL)
		return;
	struct blockz_plan_info info = blockz_plan_info(job->plan);
	json_object_set_new(object, "writes", json_bytes(info.writes));
	json_object_set_new(object, "image_bytes", json_bytes(info.payload_bytes));
	json_object_set_new(object, "check_bytes", json_bytes(info.check_bytes));
	if (job->options.bmap != NULL)
		json_object_set_new(object, "bmap", bmap_update_json(&job->bmap));
}

/* Prints the report of a file that is complete.  The map of the job may be that of its old content. */
static enum blockz_status print_report(struct job *job, const char *path, const struct blockz_source *file)
{
	struct blockz_map *map = NULL;
	enum blockz_status status = blockz_map_read(file, &job->cli.map, &map, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	struct report report = {
		.path = path, .size = file->size, .image_size = blockz_map_info(map).image_size,
		.edited = job->plan != NULL && blockz_plan_info(job->plan).writes > 0,
		.renewed = job->options.bmap,
	};
	struct blockz_work work = cli_work(&job->cli, "digest", BLOCKZ_UNKNOWN, 0);
	status = report_digests(&report, file, job->options.image_digest ? map : NULL, &work, &job->fault);
	cli_work_end(&job->cli);
	if (status == BLOCKZ_OK) {
		json_t *object = report_json(&report);
		add_plan_info(object, job);
		status = cli_print_json(&job->cli, object, &job->fault);
	}
	blockz_map_free(map);
	return status;
}

/* ---- --dry-run */

static enum blockz_status print_plan_json(struct job *job)
{
	const struct report report = {
		.path = job->options.file, .size = job->file.source.size,
		.image_size = blockz_map_info(job->map).image_size,
	};
	json_t *object = report_json(&report);
	json_t *plan = json_array();
	struct blockz_planned_write write;
	for (size_t i = 0; blockz_plan_write_at(job->plan, i, &write); i++)
		json_array_append_new(plan, json_pack("{s:o, s:o, s:o}", "file_offset", json_bytes(write.file_off),
						      "length", json_bytes(write.length), "image_offset",
						      json_bytes(write.image_off)));
	json_object_set_new(object, "plan", plan);
	if (job->options.bmap != NULL)
		json_object_set_new(object, "bmap", bmap_update_json(&job->bmap));
	return cli_print_json(&job->cli, object, &job->fault);
}

static enum blockz_status print_plan(struct job *job)
{
	struct blockz_planned_write write;
	if (job->cli.json)
		return print_plan_json(job);
	if (blockz_plan_info(job->plan).writes > 0)
		printf("%14s %9s  %s\n", "FILE OFFSET", "LENGTH", "IMAGE OFFSET");
	for (size_t i = 0; blockz_plan_write_at(job->plan, i, &write); i++) {
		printf("%14" PRIu64 " %9" PRIu64, write.file_off, write.length);
		if (write.image_off == BLOCKZ_UNKNOWN)
			puts("  check");
		else
			printf("  %" PRIu64 "\n", write.image_off);
	}
	say_done(job, stdout, job->options.file, "a plan, nothing done");
	say_bmap(job, stdout);
	return BLOCKZ_OK;
}

/* Opens FILE, and warns of what cannot be promised about it. */
static enum blockz_status open_file(struct job *job, enum blockz_store_mode mode)
{
	enum blockz_status status = compressed_open(&job->file, job->options.file, mode, &job->fault);
	if (status == BLOCKZ_OK)
		cli_note(&job->cli, job->options.file, &job->file.store);
	return status;
}

static enum blockz_status run_dry(struct job *job)
{
	enum blockz_status status = open_file(job, BLOCKZ_STORE_READ);
	if (status == BLOCKZ_OK)
		status = make_plan(job);
	return status == BLOCKZ_OK ? print_plan(job) : status;
}

/* ---- In place */

static const enum blockz_state recovery_states[] = {
	[BLOCKZ_RECOVERY_NONE] = BLOCKZ_IMAGE_UNCHANGED,
	[BLOCKZ_RECOVERY_FINISHED] = BLOCKZ_IMAGE_UPDATED,
	[BLOCKZ_RECOVERY_UNDONE] = BLOCKZ_IMAGE_ROLLED_BACK,
	[BLOCKZ_RECOVERY_DROPPED] = BLOCKZ_IMAGE_UNCHANGED,
};

/* Opens FILE for writing, and sees to an interrupted edit of it first, which no signal interrupts again. */
static enum blockz_status open_to_write(struct job *job)
{
	static const enum blockz_store_mode modes[2][2] = {
		{ BLOCKZ_STORE_WRITE, BLOCKZ_STORE_WRITE_UNLOCKED },
		{ BLOCKZ_STORE_WRITE_UNJOURNALLED, BLOCKZ_STORE_WRITE_UNLOCKED_UNJOURNALLED },
	};
	signals_hold();
	enum blockz_status status = open_file(job, modes[job->options.no_journal][job->options.no_lock]);
	if (status == BLOCKZ_OK)
		status = blockz_recover(&job->file.store, job->options.remedy, &job->recovery, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	signals_state(recovery_states[job->recovery]);
	signals_release();
	return BLOCKZ_OK;
}

/* What fails once the image is as it should be fails after the edit. */
static enum blockz_status report_in_place(struct job *job)
{
	enum blockz_status status = print_report(job, job->options.file, &job->file.source);
	if (status != BLOCKZ_OK)
		job->fault.state = job->cli.state;
	return status;
}

static enum blockz_status run_recover(struct job *job)
{
	enum blockz_status status = open_to_write(job);
	if (status != BLOCKZ_OK)
		return status;
	job->cli.state = recovery_states[job->recovery];
	cli_say(&job->cli, stdout, job->options.file, "%s", recovery_texts[job->recovery]);
	if (job->recovery == BLOCKZ_RECOVERY_FINISHED)
		say_stale(job, job->options.file);
	return job->cli.json ? report_in_place(job) : BLOCKZ_OK;
}

/* The new block map gets its name where the image is as it says, though that the journal is gone may not be durable. */
static enum blockz_status apply_plan(struct job *job)
{
	signals_hold();
	enum blockz_status status = blockz_plan_apply(job->plan, &job->file.store, &job->fault);
	if (status != BLOCKZ_OK && job->fault.state != BLOCKZ_IMAGE_UPDATED)
		return status;
	if (blockz_plan_info(job->plan).writes > 0)
		job->cli.state = BLOCKZ_IMAGE_UPDATED;
	enum blockz_status renewed = commit_bmap(job, job->options.file);
	return renewed == BLOCKZ_OK ? status : renewed;
}

static enum blockz_status run_in_place(struct job *job)
{
	enum blockz_status status = open_to_write(job);
	if (status == BLOCKZ_OK && job->recovery != BLOCKZ_RECOVERY_NONE)
		cli_warn(&job->cli, job->options.file, "%s", recovery_texts[job->recovery]);
	if (status == BLOCKZ_OK)
		status = make_plan(job);
	if (status == BLOCKZ_OK)
		status = hold_bmap(job);
	if (status == BLOCKZ_OK)
		status = apply_plan(job);
	if (status == BLOCKZ_OK && signals_noted() != 0) {
		status = tool_fault(&job->fault, BLOCKZ_FAILED, "interrupted, when the edit was under way");
		job->fault.state = job->cli.state;
	}
	if (status != BLOCKZ_OK)
		return status;
	warn_unchecked(job, job->options.file);
	if (job->cli.json)
		return report_in_place(job);
	say_done(job, stdout, job->options.file, "image updated");
	say_bmap(job, stdout);
	if (blockz_plan_info(job->plan).writes > 0)
		say_stale(job, job->options.file);
	return BLOCKZ_OK;
}

/* ---- --output */

static enum blockz_status blame_output(struct job *job, enum blockz_status status)
{
	if (status != BLOCKZ_OK)
		job->culprit = job->options.output;
	return status;
}

static enum blockz_status blame_copy(struct job *job, enum blockz_status status)
{
	return job->fault.subject == BLOCKZ_ABOUT_OUTPUT ? blame_output(job, status) : status;
}

static enum blockz_status copy_to_stream(struct job *job, struct output *output)
{
	struct report report = {
		.path = job->options.output, .size = job->file.source.size, .image_size = blockz_map_info(job->map).image_size,
	};
	enum blockz_status status =
		copy_patched(job->plan, &job->file, output, job->cli.json ? report.sha256 : NULL, &job->fault);
	if (status != BLOCKZ_OK)
		return blame_copy(job, status);
	status = hold_bmap(job);
	if (status == BLOCKZ_OK)
		status = commit_bmap(job, job->options.output);
	if (status != BLOCKZ_OK || !job->cli.json)
		return status;
	json_t *object = report_json(&report);
	add_plan_info(object, job);
	return cli_print_json(&job->cli, object, &job->fault);
}

static enum blockz_status report_copy(struct job *job, const struct output *output)
{
	struct blockz_source copy;
	enum blockz_status status = blockz_source_fd(output->fd, &copy, &job->fault);
	if (status == BLOCKZ_OK)
		status = print_report(job, job->options.output, &copy);
	if (status != BLOCKZ_OK)
		job->fault.state = job->cli.state;
	return blame_output(job, status);
}

static enum blockz_status copy_to_file(struct job *job, struct output *output)
{
	enum blockz_status status = copy_patched(job->plan, &job->file, output, NULL, &job->fault);
	if (status != BLOCKZ_OK)
		return blame_copy(job, status);
	status = blame_output(job, output_sync(output, &job->fault));
	if (status == BLOCKZ_OK)
		status = hold_bmap(job);
	if (status == BLOCKZ_OK)
		status = blame_output(job, output_commit(output, &job->fault));
	if (status != BLOCKZ_OK)
		return status;
	job->cli.state = BLOCKZ_IMAGE_UPDATED;
	status = commit_bmap(job, job->options.output);
	return status == BLOCKZ_OK && job->cli.json ? report_copy(job, output) : status;
}

/* The copy would be refused by the lock on FILE, with a message that does not say why. */
static bool is_same_file(const struct job *job)
{
	struct stat file, output;
	return job->file.name != NULL && fstatat(job->file.dirfd, job->file.name, &file, 0) == 0 &&
	       stat(job->options.output, &output) == 0 && file.st_dev == output.st_dev &&
	       file.st_ino == output.st_ino;
}

static void say_copied(const struct job *job)
{
	bool to_stdout = is_stream(job->options.output);
	warn_unchecked(job, job->options.output);
	say_done(job, to_stdout ? stderr : stdout, to_stdout ? job->options.file : job->options.output, "patched copy");
	say_bmap(job, to_stdout ? stderr : stdout);
}

static enum blockz_status run_output(struct job *job)
{
	struct output output = OUTPUT_INIT;
	enum blockz_status status = open_file(job, BLOCKZ_STORE_READ);
	if (status == BLOCKZ_OK && is_same_file(job))
		return tool_fault(&job->fault, BLOCKZ_USAGE, "--output is the file itself");
	if (status == BLOCKZ_OK)
		status = make_plan(job);
	if (status != BLOCKZ_OK)
		return status;
	status = blame_output(job, output_open(&output, job->options.output, job->options.force, &job->audience, &job->fault));
	if (status != BLOCKZ_OK)
		return status;
	status = output.is_stream ? copy_to_stream(job, &output) : copy_to_file(job, &output);
	output_close(&output);
	if (status == BLOCKZ_OK)
		say_copied(job);
	return status;
}

/* ---- The program */

static enum blockz_status run(struct job *job)
{
	const struct patch_options *options = &job->options;
	if (options->recover)
		return run_recover(job);
	if (options->dry_run)
		return run_dry(job);
	return options->output != NULL ? run_output(job) : run_in_place(job);
}

int main(int argc, char **argv)
{
	struct job job = { .bmap = BMAP_UPDATE_INIT };
	job.edits.audience = &job.audience;
	patch_options_read(&job.options, &job.cli, argc, argv);
	enum blockz_status status = run(&job);
	if (status != BLOCKZ_OK)
		status = cli_fail(&job.cli, job.culprit != NULL ? job.culprit : job.options.file, &job.fault);
	job_close(&job);
	return cli_finish(&job.cli, status);
}
