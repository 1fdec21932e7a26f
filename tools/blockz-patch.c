/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-patch: change raw ranges of a disk image inside its compressed file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bmap/bmap_update.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/reading.h"
#include "cli/signals.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "disks/partition.h"
#include "files/audience.h"
#include "files/compressed.h"
#include "files/output.h"
#include "files/overlays.h"
#include "files/scratch_store.h"
#include "patch/carry_out.h"
#include "patch/chosen_edits.h"
#include "patch/compose.h"
#include "patch/composition_make.h"
#include "patch/copy.h"
#include "patch/edits.h"
#include "patch/overlay_recover.h"
#include "patch/patch_options.h"
#include "patch/patch_report.h"

/* One call of the program, and everything it holds; call_close() frees it, whatever was opened. */
struct call {
	struct cli cli;
	struct patch_options options;
	struct compressed file;
	struct audience audience; /* of FILE and the inputs */
	struct blockz_map *map;
	struct edits edits;
	struct scratch_store scratch; /* of the plan */
	struct blockz_plan *plan;
	uint64_t backup_end; /* image offset behind the backup of a GPT; 0: there is none, or nothing is resized */
	struct bmap_update bmap; /* closed without --bmap */
	struct making making;    /* zeros without --composition */
	const char *culprit; /* what the fault speaks of; NULL: FILE */
	enum blockz_recovery recovery;
	struct overlay_recover overlay; /* zeros without --recover */
	struct blockz_fault fault;
};

static void call_close(struct call *call)
{
	overlay_recover_close(&call->overlay);
	bmap_update_close(&call->bmap);
	making_free(&call->making);
	blockz_plan_free(call->plan);
	scratch_store_close(&call->scratch);
	edits_free(&call->edits);
	blockz_map_free(call->map);
	compressed_close(&call->file);
	patch_options_free(&call->options);
}

/* ---- What a failure is about, and what it leaves */

static enum blockz_status blame(struct call *call, enum blockz_status status, const char *culprit)
{
	if (status != BLOCKZ_OK)
		call->culprit = culprit;
	return status;
}

/* What fails once the image is as it should be fails after the edit. */
static enum blockz_status fail_late(struct call *call, enum blockz_status status)
{
	if (status != BLOCKZ_OK)
		call->fault.state = call->cli.state;
	return status;
}

/* ---- --bmap: steps around an edit, which do nothing without it */

static enum blockz_status open_bmap(struct call *call)
{
	if (call->options.bmap == NULL)
		return BLOCKZ_OK;
	return blame(call, bmap_update_open(&call->bmap, call->options.bmap, !call->options.dry_run, &call->audience, &call->fault),
		     call->options.bmap);
}

static enum blockz_status make_bmap(struct call *call)
{
	if (call->options.bmap == NULL)
		return BLOCKZ_OK;
	struct blockz_work work = cli_work(&call->cli, "block map", BLOCKZ_UNKNOWN);
	struct bmap_edit edit = {
		.file = &call->file.source, .map = call->map, .plan = call->plan, .edits = &call->edits, .work = &work,
	};
	enum blockz_status status = bmap_update_make(&call->bmap, &edit, &call->fault);
	cli_work_end(&call->cli);
	return call->bmap.image_is_to_blame ? status : blame(call, status, call->options.bmap);
}

/* From now on the new block map will have its name as soon as the image is as it says. */
static enum blockz_status hold_bmap(struct call *call)
{
	if (!call->bmap.changed)
		return BLOCKZ_OK;
	return blame(call, output_hold(&call->bmap.output, &call->fault), call->options.bmap);
}

/* image: the file that the new map is of. */
static enum blockz_status commit_bmap(struct call *call, const char *image)
{
	struct blockz_fault why;
	enum blockz_status status = bmap_update_commit(&call->bmap, &why);
	if (status == BLOCKZ_OK)
		return status;
	char *map_word = shell_word(call->options.bmap), *image_word = shell_word(image);
	tool_fault(&call->fault, status, "%s; make it anew: blockz-map --force --bmap %s %s", why.text,
		   map_word != NULL ? map_word : "?", image_word != NULL ? image_word : "?");
	free(map_word);
	free(image_word);
	return blame(call, fail_late(call, status), call->options.bmap);
}

/* ---- --composition: it is there before the image is changed, since nobody could make it afterwards */

static enum blockz_status make_composition(struct call *call)
{
	const struct patch_options *options = &call->options;
	if (options->composition == NULL)
		return BLOCKZ_OK;
	call->making = (struct making){
		.cli = &call->cli, .file = &call->file.source, .plan = call->plan, .path = options->composition,
		.side_path = options->composition_side, .replace = options->force, .audience = &call->audience,
	};
	enum blockz_status status = making_run(&call->making, &call->fault);
	return call->making.culprit != NULL ? blame(call, status, call->making.culprit) : status;
}

/* ---- From options to a plan */

static void name_anywhere(struct blockz_fault *fault)
{
	size_t len = strlen(fault->text);
	snprintf(fault->text + len, sizeof(fault->text) - len, "; --anywhere changes compressed bytes, too");
}

static enum blockz_status plan_raw(struct call *call, const struct blockz_work *work)
{
	enum blockz_status status = blockz_plan_new(&call->file.source, call->map, call->edits.items, call->edits.count, work,
						    &call->plan, &call->fault);
	if (status == BLOCKZ_UNSUPPORTED && edits_are_elsewhere(&call->edits, call->map))
		name_anywhere(&call->fault);
	return status;
}

/* A copy is a new file in any case: no piece is made to fit an old place. */
static enum blockz_status plan_anywhere(struct call *call, const struct blockz_work *work)
{
	const struct patch_options *options = &call->options;
	bool is_copy = options->output != NULL;
	struct blockz_anywhere how = {
		.way = options->way, .resize = options->resize, .image_size = options->image_size, .scratch = &call->scratch.store,
		.work = *work,
	};
	if (!is_copy && !options->dry_run) {
		how.reserve = scratch_store_hold;
		how.reserve_ctx = &call->scratch;
	}
	if (is_copy && how.way == BLOCKZ_WAY_AUTO)
		how.way = BLOCKZ_WAY_SPLICE;
	enum blockz_status status = scratch_store_open(&call->scratch, is_copy ? -1 : call->file.dirfd, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	return blockz_plan_anywhere(&call->file.source, call->map, call->edits.items, call->edits.count, &how, &call->plan,
				    &call->fault);
}

/* What cannot be read, or is no disk, has no backup that would have to be told of. */
static void find_backup(struct call *call)
{
	struct partitions partitions = { 0 };
	if (call->options.resize &&
	    partitions_of_file(&call->file.source, call->map, NULL, call->cli.sector_size, &partitions, NULL) == BLOCKZ_OK)
		call->backup_end = partitions.backup_end;
	partitions_free(&partitions);
}

/* The block map is locked before the image is read, and made anew before the image is changed, as is a composition. */
static enum blockz_status make_plan(struct call *call)
{
	audience_add_compressed(&call->audience, &call->file);
	enum blockz_status status = open_bmap(call);
	if (status != BLOCKZ_OK)
		return status;
	call->cli.map.raw_only = !call->options.anywhere;
	status = reading_map(&call->cli, call->options.file, &call->file.source, &call->map, &call->fault);
	call->cli.map.raw_only = false; /* what was written is read by all that there is to know */
	if (status != BLOCKZ_OK)
		return status;
	find_backup(call);
	const struct edited_file edited = { &call->file.source, call->map, call->cli.sector_size };
	status = chosen_edits_add(&call->edits, &call->options, &edited, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	struct blockz_work work = cli_work(&call->cli, "compare", BLOCKZ_UNKNOWN);
	status = call->options.anywhere ? plan_anywhere(call, &work) : plan_raw(call, &work);
	cli_work_end(&call->cli);
	if (status == BLOCKZ_OK)
		status = make_bmap(call);
	return status == BLOCKZ_OK ? make_composition(call) : status;
}

/* ---- What is said at the end */

/* The plan of what was done, by the edits that were asked for or by an overlay; NULL: there was none. */
static const struct blockz_plan *plan_of(const struct call *call)
{
	return call->plan != NULL ? call->plan : call->overlay.commit.plan;
}

static struct patch_report report_of(struct call *call)
{
	const bool resized = call->options.resize && call->plan != NULL;
	return (struct patch_report){
		.cli = &call->cli, .plan = plan_of(call), .recovery = call->recovery, .overlay = call->overlay.done,
		.renewed = call->options.bmap, .is_copy = call->options.output != NULL, .image_digest = call->options.image_digest,
		.old_image_size = resized ? blockz_map_info(call->map).image_size : BLOCKZ_UNKNOWN, .backup_end = call->backup_end,
	};
}

/* What was made beside the image, as members of an object. */
static json_t *more_json(const struct call *call)
{
	json_t *more = json_object();
	if (call->options.bmap != NULL && call->plan != NULL)
		json_object_set_new(more, "bmap", bmap_update_json(&call->bmap));
	if (call->making.path != NULL)
		json_object_set_new(more, "composition", making_json(&call->making));
	return more;
}

static void say_more(const struct call *call, FILE *out)
{
	const struct bmap_update *bmap = &call->bmap;
	const struct composition *composition = &call->making.composition;
	if (call->making.path != NULL)
		cli_say(&call->cli, out, call->making.path, "a composition of %zu part%s, %" PRIu64 " of %" PRIu64 " byte%s new",
			composition->count, plural(composition->count), composition->new_bytes, composition->result.size,
			plural(composition->result.size));
	if (bmap->changed)
		cli_say(&call->cli, out, bmap->path, "%s: %" PRIu64 " block%s more, %" PRIu64 " new checksum%s",
			call->options.dry_run ? "would be renewed" : "renewed", bmap->added_blocks,
			plural(bmap->added_blocks), bmap->renewed_ranges, plural(bmap->renewed_ranges));
}

/* ---- --dry-run */

static enum blockz_status print_plan(struct call *call)
{
	const struct patch_report patch = report_of(call);
	const struct report report = {
		.path = call->options.file, .size = call->file.source.size, .image_size = blockz_plan_info(call->plan).image_size,
	};
	if (call->cli.json)
		return cli_print_json(&call->cli, patch_report_plan_json(&patch, &report, more_json(call)), &call->fault);
	patch_report_plan(&patch);
	patch_report_done(&patch, stdout, call->options.file, "a plan, nothing done");
	say_more(call, stdout);
	return BLOCKZ_OK;
}

/* Opens FILE, and warns of what cannot be promised about it. */
static enum blockz_status open_file(struct call *call, enum blockz_store_mode mode)
{
	enum blockz_status status = compressed_open(&call->file, call->options.file, mode, &call->fault);
	if (status == BLOCKZ_OK)
		cli_note(&call->cli, call->options.file, &call->file.store);
	return status;
}

static enum blockz_status plan_only(struct call *call)
{
	enum blockz_status status = open_file(call, BLOCKZ_STORE_READ);
	if (status != BLOCKZ_OK)
		return status;
	status = make_plan(call);
	return status == BLOCKZ_OK ? print_plan(call) : status;
}

/* ---- In place */

static const enum blockz_state recovery_states[] = {
	[BLOCKZ_RECOVERY_NONE] = BLOCKZ_IMAGE_UNCHANGED,
	[BLOCKZ_RECOVERY_FINISHED] = BLOCKZ_IMAGE_UPDATED,
	[BLOCKZ_RECOVERY_UNDONE] = BLOCKZ_IMAGE_ROLLED_BACK,
	[BLOCKZ_RECOVERY_DROPPED] = BLOCKZ_IMAGE_UNCHANGED,
};

/* Opens FILE for writing, and sees to an interrupted edit of it first, which no signal interrupts again. */
static enum blockz_status open_to_write(struct call *call)
{
	static const enum blockz_store_mode modes[2][2] = {
		{ BLOCKZ_STORE_WRITE, BLOCKZ_STORE_WRITE_UNLOCKED },
		{ BLOCKZ_STORE_WRITE_UNJOURNALLED, BLOCKZ_STORE_WRITE_UNLOCKED_UNJOURNALLED },
	};
	signals_hold();
	enum blockz_status status = open_file(call, modes[call->options.no_journal][call->options.no_lock]);
	if (status != BLOCKZ_OK)
		return status;
	status = blockz_recover(&call->file.store, call->options.remedy, &call->recovery, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	signals_state(recovery_states[call->recovery]);
	signals_release();
	return BLOCKZ_OK;
}

static enum blockz_status report_in_place(struct call *call)
{
	const struct patch_report patch = report_of(call);
	return fail_late(call, patch_report_print(&patch, call->options.file, &call->file.source, more_json(call), &call->fault));
}

/* What is said once the image is updated. */
static enum blockz_status say_updated(struct call *call)
{
	const struct patch_report patch = report_of(call);
	patch_report_done(&patch, stdout, call->options.file, "image updated");
	say_more(call, stdout);
	if (blockz_plan_info(plan_of(call)).writes > 0)
		patch_report_stale(&patch, call->options.file);
	return BLOCKZ_OK;
}

static void warn_of_plan(struct call *call, const char *path)
{
	const struct patch_report patch = report_of(call);
	patch_report_unchecked(&patch, path);
	patch_report_unverified(&patch, path);
}

/* Of a file that is complete, by the descriptor of what was written. */
static enum blockz_status report_copy(struct call *call, const struct output *output, const char *path)
{
	struct blockz_source copy;
	const struct patch_report patch = report_of(call);
	enum blockz_status status = blockz_source_fd(output->fd, &copy, &call->fault);
	if (status == BLOCKZ_OK)
		status = patch_report_print(&patch, path, &copy, more_json(call), &call->fault);
	return fail_late(call, status);
}

/* ---- A plan, in place or by a new file */

/* The new block map gets its name where the image is as it says, though that nothing can undo it may not be durable. */
static enum blockz_status change_file(struct call *call, struct carry_out *work)
{
	enum blockz_status status = carry_out_prepare(work, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = hold_bmap(call);
	if (status != BLOCKZ_OK)
		return status;
	status = carry_out_commit(work, &call->fault);
	if (status != BLOCKZ_OK && call->fault.state != BLOCKZ_IMAGE_UPDATED)
		return status;
	if (blockz_plan_info(call->plan).writes > 0)
		call->cli.state = BLOCKZ_IMAGE_UPDATED;
	enum blockz_status renewed = commit_bmap(call, call->options.file);
	return renewed == BLOCKZ_OK ? status : renewed;
}

static enum blockz_status report_change(struct call *call, const struct carry_out *work)
{
	warn_of_plan(call, call->options.file);
	if (!call->cli.json)
		return say_updated(call);
	return blockz_plan_info(plan_of(call)).is_splice ? report_copy(call, &work->output, call->options.file)
							  : report_in_place(call);
}

/* A signal that came while bytes of FILE were overwritten has the last word. */
static enum blockz_status carry_out(struct call *call)
{
	struct carry_out work = { CARRY_OUT_INIT, .path = call->options.file, .file = &call->file, .plan = call->plan };
	scratch_store_release(&call->scratch);
	enum blockz_status status = change_file(call, &work);
	bool in_place = !blockz_plan_info(call->plan).is_splice;
	if (status == BLOCKZ_OK && in_place && signals_noted() != 0)
		status = fail_late(call, tool_fault(&call->fault, BLOCKZ_FAILED, "interrupted, when the edit was under way"));
	if (status == BLOCKZ_OK)
		status = report_change(call, &work);
	carry_out_close(&work);
	return status;
}

static enum blockz_status patch_file(struct call *call)
{
	enum blockz_status status = open_to_write(call);
	if (status == BLOCKZ_OK)
		status = overlays_refuse(call->file.dirfd, call->file.name, &call->file.store, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	if (call->recovery != BLOCKZ_RECOVERY_NONE)
		cli_warn(&call->cli, call->options.file, "%s", recovery_text(call->recovery));
	status = make_plan(call);
	return status == BLOCKZ_OK ? carry_out(call) : status;
}

/* ---- --recover */

/* Where there was a journal, --recover=drop was said of that. */
static enum blockz_remedy remedy_of_overlay(const struct call *call)
{
	enum blockz_remedy remedy = call->options.remedy;
	return remedy == BLOCKZ_REMEDY_DROP && call->recovery != BLOCKZ_RECOVERY_NONE ? BLOCKZ_REMEDY_RECOVER : remedy;
}

static enum blockz_status recover_overlay(struct call *call)
{
	struct overlay_commit *commit = &call->overlay.commit;
	commit->path = call->options.file;
	commit->file = &call->file;
	commit->map_options = call->cli.map;
	commit->work_options = cli_work(&call->cli, "commit", BLOCKZ_UNKNOWN);
	enum blockz_status status = overlay_recover_run(&call->overlay, remedy_of_overlay(call), &call->fault);
	cli_work_end(&call->cli);
	if (status == BLOCKZ_OK && commit->plan != NULL && blockz_plan_info(commit->plan).writes > 0)
		call->cli.state = BLOCKZ_IMAGE_UPDATED;
	return status;
}

static void report_journal(struct call *call)
{
	const struct patch_report patch = report_of(call);
	cli_say(&call->cli, stdout, call->options.file, "%s", recovery_text(call->recovery));
	if (call->recovery == BLOCKZ_RECOVERY_FINISHED)
		patch_report_stale(&patch, call->options.file);
}

static enum blockz_status recover(struct call *call)
{
	enum blockz_status status = open_to_write(call);
	if (status != BLOCKZ_OK)
		return status;
	call->cli.state = recovery_states[call->recovery];
	status = recover_overlay(call);
	if (status != BLOCKZ_OK)
		return status;
	bool overlay = call->overlay.done != OVERLAY_RECOVERY_NONE;
	if (call->recovery != BLOCKZ_RECOVERY_NONE || !overlay)
		report_journal(call);
	if (overlay)
		cli_say(&call->cli, stdout, call->options.file, "%s", overlay_recovery_text(call->overlay.done));
	if (call->overlay.done == OVERLAY_RECOVERY_COMMITTED)
		return report_change(call, &call->overlay.commit.work);
	return call->cli.json ? report_in_place(call) : BLOCKZ_OK;
}

/* ---- --output */

static enum blockz_status blame_output(struct call *call, enum blockz_status status)
{
	return blame(call, status, call->options.output);
}

static enum blockz_status blame_copy(struct call *call, enum blockz_status status)
{
	return call->fault.subject == BLOCKZ_ABOUT_OUTPUT ? blame_output(call, status) : status;
}

static enum blockz_status copy_to_stream(struct call *call, struct output *output)
{
	struct report report = {
		.path = call->options.output, .size = blockz_plan_info(call->plan).file_size,
		.image_size = blockz_plan_info(call->plan).image_size,
	};
	enum blockz_status status =
		copy_patched(call->plan, &call->file, output, call->cli.json ? report.sha256 : NULL, &call->fault);
	if (status != BLOCKZ_OK)
		return blame_copy(call, status);
	status = hold_bmap(call);
	if (status != BLOCKZ_OK)
		return status;
	status = commit_bmap(call, call->options.output);
	if (status != BLOCKZ_OK || !call->cli.json)
		return status;
	const struct patch_report patch = report_of(call);
	return cli_print_json(&call->cli, patch_report_json(&patch, &report, more_json(call)), &call->fault);
}

static enum blockz_status copy_to_file(struct call *call, struct output *output)
{
	enum blockz_status status = copy_patched(call->plan, &call->file, output, NULL, &call->fault);
	if (status != BLOCKZ_OK)
		return blame_copy(call, status);
	status = blame_output(call, output_sync(output, &call->fault));
	if (status != BLOCKZ_OK)
		return status;
	status = hold_bmap(call);
	if (status != BLOCKZ_OK)
		return status;
	status = blame_output(call, output_commit(output, &call->fault));
	if (status != BLOCKZ_OK)
		return status;
	call->cli.state = BLOCKZ_IMAGE_UPDATED;
	status = commit_bmap(call, call->options.output);
	return status == BLOCKZ_OK && call->cli.json ? blame_output(call, report_copy(call, output, call->options.output)) : status;
}

/* The copy would be refused by the lock on FILE, with a message that does not say why. */
static bool is_same_file(const struct call *call)
{
	struct stat file, output;
	return call->file.name != NULL && fstatat(call->file.dirfd, call->file.name, &file, 0) == 0 &&
	       stat(call->options.output, &output) == 0 && file.st_dev == output.st_dev &&
	       file.st_ino == output.st_ino;
}

static void say_copied(struct call *call)
{
	bool to_stdout = is_stream(call->options.output);
	const struct patch_report patch = report_of(call);
	warn_of_plan(call, call->options.output);
	patch_report_done(&patch, to_stdout ? stderr : stdout, to_stdout ? call->options.file : call->options.output,
			  "patched copy");
	say_more(call, to_stdout ? stderr : stdout);
}

static enum blockz_status patch_a_copy(struct call *call)
{
	struct output output = OUTPUT_INIT;
	enum blockz_status status = open_file(call, BLOCKZ_STORE_READ);
	if (status != BLOCKZ_OK)
		return status;
	if (is_same_file(call))
		return tool_fault(&call->fault, BLOCKZ_USAGE, "--output is the file itself");
	status = make_plan(call);
	if (status != BLOCKZ_OK)
		return status;
	status = blame_output(call, output_open(&output, call->options.output, call->options.force, &call->audience, &call->fault));
	if (status != BLOCKZ_OK)
		return status;
	status = output.is_stream ? copy_to_stream(call, &output) : copy_to_file(call, &output);
	output_close(&output);
	if (status == BLOCKZ_OK)
		say_copied(call);
	return status;
}

/* ---- --compose */

static enum blockz_status compose(struct call *call)
{
	const struct patch_options *options = &call->options;
	struct compose compose = {
		.cli = &call->cli, .path = options->compose, .side = options->side, .base_path = options->file, .base = &call->file,
		.output = options->output, .force = options->force,
	};
	enum blockz_status status = open_file(call, BLOCKZ_STORE_READ);
	if (status != BLOCKZ_OK)
		return status;
	if (is_same_file(call))
		return tool_fault(&call->fault, BLOCKZ_USAGE, "--output is the file itself");
	status = compose_run(&compose, &call->fault);
	return compose.culprit != NULL ? blame(call, status, compose.culprit) : status;
}

/* ---- The program */

static enum blockz_status do_as_asked(struct call *call)
{
	const struct patch_options *options = &call->options;
	if (options->compose != NULL)
		return compose(call);
	if (options->recover)
		return recover(call);
	if (options->dry_run)
		return plan_only(call);
	return options->output != NULL ? patch_a_copy(call) : patch_file(call);
}

int main(int argc, char **argv)
{
	struct call call = { .bmap = BMAP_UPDATE_INIT };
	call.edits.audience = &call.audience;
	patch_options_read(&call.options, &call.cli, argc, argv);
	enum blockz_status status = do_as_asked(&call);
	if (status != BLOCKZ_OK)
		status = cli_fail(&call.cli, call.culprit != NULL ? call.culprit : call.options.file, &call.fault);
	call_close(&call);
	return cli_finish(&call.cli, status);
}
