/* SPDX-License-Identifier: BSD-3-Clause */
/* A save is of one moment, since the store of pages stands still for it; the file is replaced when it is complete. */
#define NBDKIT_API_VERSION 2
#include "saver.h"

#include <inttypes.h>
#include <stdlib.h>

#include "blockz_pages.h"
#include "cli/fault.h"
#include "cli/size.h"
#include "files/kernel_sink.h"
#include "files/newfile.h"
#include "files/scratch_store.h"
#include "over.h"
#include "pages_errno.h"
#include "say.h"
#include "servers/nbd.h"

static const char *label_of(const struct saver *saver)
{
	return saver->settings->save.label;
}

/* ---- What is to be raw */

/* The image as a source, for who looks for partitions in it. */
struct view {
	struct blockz_pages *pages;
	uint64_t size;
};

static int read_pages(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct view *view = ctx;
	struct blockz_fault fault;
	uint64_t left = off < view->size ? view->size - off : 0;
	if (len > left)
		len = (size_t)left;
	if (blockz_pages_read(view->pages, buf, len, off, &fault) != BLOCKZ_OK)
		return pages_errno(&fault);
	*got_ret = len;
	return 0;
}

/* Adds the ranges of partitions as they are now.  Errors: those of rawchoice_find(). */
static enum blockz_status find_raw(const struct saver *saver, struct rawlist *list, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_pages };
	struct view view = { saver->pages, saver->settings->pages.size };
	struct blockz_source image = { &ops, &view, view.size };
	return rawchoice_find(&saver->settings->choice, &image, list, fault);
}

static enum blockz_status list_raw(const struct saver *saver, struct rawlist *list, struct blockz_fault *fault)
{
	const struct rawlist *given = &saver->settings->raw;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; status == BLOCKZ_OK && i < given->count; i++)
		status = rawlist_add(list, given->items[i], fault);
	return status;
}

static enum blockz_status check_raw(const struct saver *saver, struct blockz_fault *fault)
{
	const struct rawlist *given = &saver->settings->raw;
	uint64_t size = saver->settings->pages.size;
	for (size_t i = 0; i < given->count; i++)
		if (given->items[i].end > size)
			return tool_fault(fault, BLOCKZ_USAGE,
					  "raw=%" PRIu64 "-%" PRIu64 " goes on beyond the end of the disk, %" PRIu64,
					  given->items[i].start, given->items[i].end, size);
	return BLOCKZ_OK;
}

/* ---- The file */

static bool on_progress(void *ctx, uint64_t image_done, uint64_t file_done)
{
	const struct saver *saver = ctx;
	(void)image_done;
	(void)file_done;
	return !atomic_load(&saver->stop);
}

static enum blockz_status open_file(const struct saver *saver, struct newfile *file, struct blockz_fault *fault)
{
	const struct newfile_options options = { .replace = true, .held = base_store(saver->base), .audience = &saver->audience };
	return newfile_open(file, saver->settings->save.path, &options, fault);
}

/* What was saved, and what it took. */
struct saved {
	uint64_t file_size, raw_bytes;
	bool is_over;    /* the file that was loaded */
	uint64_t pieces; /* that were encoded again then */
};

static struct blockz_work work_of(const struct saver *saver)
{
	return (struct blockz_work){ .progress = on_progress, .progress_ctx = (void *)(uintptr_t)saver };
}

static enum blockz_status pack_all(const struct saver *saver, int fd, const struct rawlist *raw, struct saved *saved,
				   struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	struct blockz_sink sink = blockz_sink_fd(&memory, fd);
	struct blockz_pages_save_options options = {
		.format = saver->settings->format->name, .raw = raw->items, .raw_count = raw->count, .work = work_of(saver),
	};
	struct blockz_pack_result result;
	enum blockz_status status = blockz_pages_save(saver->pages, &sink, &options, &result, fault);
	if (status == BLOCKZ_OK)
		*saved = (struct saved){ .file_size = result.file_size, .raw_bytes = result.raw_bytes };
	return status;
}

static enum blockz_status write_over(const struct saver *saver, const struct newfile *file, struct saved *saved,
				     struct blockz_fault *fault)
{
	struct scratch_store scratch;
	struct kernel_sink sink;
	struct blockz_plan_info info;
	enum blockz_status status = scratch_store_open(&scratch, file->dirfd, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_pages_origin origin = {
		.file = &saver->base->file.source, .map = base_map(saver->base), .scratch = &scratch.store, .work = work_of(saver),
	};
	kernel_sink_open(&sink, &saver->base->file.file, file->fd);
	status = blockz_pages_splice(saver->pages, &origin, &sink.sink, &info, fault);
	kernel_sink_close(&sink);
	scratch_store_close(&scratch);
	if (status == BLOCKZ_OK)
		*saved = (struct saved){ .file_size = info.file_size, .is_over = true, .pieces = info.renewed.pieces };
	return status;
}

/* True where over the file that was loaded the disk cannot be saved, but can be for itself. */
static bool is_for_itself(enum blockz_status status)
{
	return status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED || status == BLOCKZ_LIMIT;
}

static enum blockz_status write_image(const struct saver *saver, const struct newfile *file, const struct rawlist *raw,
				      struct saved *saved, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_UNSUPPORTED;
	if (over_is_possible(saver->base, saver->settings, raw) && over_is_faster(saver->base, saver->settings, saver->pages)) {
		status = write_over(saver, file, saved, fault);
		if (is_for_itself(status)) {
			char *line = fault_line(fault);
			say("%s: all of it is compressed anew: %s", label_of(saver), line != NULL ? line : "?");
			free(line);
		}
	}
	return is_for_itself(status) ? pack_all(saver, file->fd, raw, saved, fault) : status;
}

static enum blockz_status write_file(const struct saver *saver, const struct rawlist *raw, struct saved *saved,
				     struct blockz_fault *fault)
{
	struct newfile file;
	enum blockz_status status = open_file(saver, &file, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = write_image(saver, &file, raw, saved, fault);
	if (status == BLOCKZ_OK)
		status = newfile_commit(&file, fault);
	newfile_close(&file);
	return status;
}

enum blockz_status saver_try(const struct saver *saver, struct blockz_fault *fault)
{
	struct newfile file;
	enum blockz_status status = check_raw(saver, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = open_file(saver, &file, fault);
	if (status == BLOCKZ_OK)
		newfile_close(&file);
	return status;
}

static void say_saved(const struct saver *saver, const struct saved *saved)
{
	char len[32], raw[32];
	size_human(len, sizeof(len), saved->file_size);
	size_human(raw, sizeof(raw), saved->raw_bytes);
	if (saved->is_over)
		say("%s: saved, %s: %" PRIu64 " piece%s of %s encoded again, all else copied", label_of(saver), len, saved->pieces,
		    plural(saved->pieces), saver->settings->load.label);
	else
		say("%s: saved, %s, %s of the image raw", label_of(saver), len, raw);
}

static void say_failed(const struct saver *saver, const struct blockz_fault *fault)
{
	const char *label = label_of(saver);
	nbd_report(label, fault);
	char *sentence = state_sentence(fault, label);
	nbdkit_error("%s: %s", label, sentence != NULL ? sentence : "?");
	free(sentence);
}

/*
 * A write that was carried out but not noted yet makes for one save too many.  The other order, noted but not carried
 * out, would make for one too few.
 */
void saver_save(struct saver *saver)
{
	struct rawlist raw = { 0 };
	struct saved saved;
	struct blockz_fault fault;
	atomic_store(&saver->changed, false);
	enum blockz_status status = list_raw(saver, &raw, &fault);
	enum blockz_status found = BLOCKZ_OK;
	if (status == BLOCKZ_OK && rawchoice_looks(&saver->settings->choice))
		found = find_raw(saver, &raw, &fault);
	/* Nowhere else is what this disk holds: without raw ranges it is saved at least. */
	if (found != BLOCKZ_OK) {
		nbd_report(label_of(saver), &fault);
		nbdkit_error("%s: it is saved without that being raw", label_of(saver));
	}
	if (status == BLOCKZ_OK)
		status = write_file(saver, &raw, &saved, &fault);
	rawlist_free(&raw);
	saver->failed = status != BLOCKZ_OK || found != BLOCKZ_OK;
	if (status == BLOCKZ_OK) {
		saver->saved = true;
		say_saved(saver, &saved);
		return;
	}
	atomic_store(&saver->changed, true);
	if (!atomic_load(&saver->stop))
		say_failed(saver, &fault);
}

/* ---- When */

void saver_note(struct saver *saver)
{
	if (!atomic_load_explicit(&saver->changed, memory_order_relaxed))
		atomic_store(&saver->changed, true);
}

void saver_end(struct saver *saver)
{
	if (atomic_load(&saver->changed))
		saver_save(saver);
	else
		say("%s: nothing to save: the disk was not written to%s", label_of(saver), saver->saved ? " since" : "");
}

void saver_stop(struct saver *saver, bool stop)
{
	atomic_store(&saver->stop, stop);
}

bool saver_has_failed(const struct saver *saver)
{
	return saver->failed;
}
