/* SPDX-License-Identifier: BSD-3-Clause */
/* A save is of one moment, since the store of pages stands still for it; the file is replaced when it is complete. */
#define NBDKIT_API_VERSION 2
#include "saver.h"

#include <inttypes.h>
#include <stdlib.h>

#include "blockz_pages.h"
#include "cli/fault.h"
#include "cli/size.h"
#include "files/newfile.h"
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
	const struct newfile_options options = { .replace = true, .held = saver->held, .audience = &saver->audience };
	return newfile_open(file, saver->settings->save.path, &options, fault);
}

static enum blockz_status write_file(struct saver *saver, const struct rawlist *raw, struct blockz_pack_result *result,
				     struct blockz_fault *fault)
{
	struct newfile file;
	struct blockz_fd_sink memory;
	enum blockz_status status = open_file(saver, &file, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct blockz_sink sink = blockz_sink_fd(&memory, file.fd);
	struct blockz_pages_save_options options = {
		.raw = raw->items,
		.raw_count = raw->count,
		.work = { .progress = on_progress, .progress_ctx = saver },
	};
	status = blockz_pages_save(saver->pages, &sink, &options, result, fault);
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

static void say_saved(const struct saver *saver, const struct blockz_pack_result *result)
{
	char len[32], raw[32];
	size_human(len, sizeof(len), result->file_size);
	size_human(raw, sizeof(raw), result->raw_bytes);
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
	struct blockz_pack_result result;
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
		status = write_file(saver, &raw, &result, &fault);
	rawlist_free(&raw);
	saver->failed = status != BLOCKZ_OK || found != BLOCKZ_OK;
	if (status == BLOCKZ_OK) {
		saver->saved = true;
		say_saved(saver, &result);
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
