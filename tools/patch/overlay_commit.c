/* SPDX-License-Identifier: BSD-3-Clause */
/* Plan, announcement, change, drop; a disk that has too little room is told of by what the plan takes. */
#include "patch/overlay_commit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "cli/fault.h"
#include "cli/size.h"

/* ---- What is to be done */

static enum blockz_status make_plan(struct overlay_commit *self, struct blockz_fault *fault)
{
	struct blockz_anywhere how = {
		.way = BLOCKZ_WAY_AUTO, .scratch = &self->scratch.store, .work = self->work_options,
		.reserve = scratch_store_hold, .reserve_ctx = &self->scratch,
	};
	enum blockz_status status = blockz_map_read(&self->file->source, &self->map_options, &self->map, fault);
	if (status == BLOCKZ_OK)
		status = blockz_overlay_edits(self->overlay, &self->edits, &self->count, fault);
	if (status == BLOCKZ_OK)
		status = scratch_store_open(&self->scratch, self->file->dirfd, fault);
	if (status != BLOCKZ_OK)
		return status;
	return blockz_plan_anywhere(&self->file->source, self->map, self->edits, self->count, &how, &self->plan, fault);
}

/* ---- A full disk */

/* What a plan takes beside the file: a new one, or a journal with the old and the new content of each sector. */
static uint64_t room_of_plan(const struct blockz_plan *plan)
{
	enum { SECTOR = 512, HEADER = 4096 };
	struct blockz_planned_write write;
	uint64_t room = HEADER;
	if (blockz_plan_info(plan).is_splice)
		return blockz_plan_info(plan).file_size;
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++)
		room += 2 * (write.length + 2 * SECTOR);
	return room;
}

/* Before there is a plan, it is only known that pieces do not get longer than what they hold by much. */
static uint64_t room_at_most(const struct overlay_commit *self)
{
	return self->file->source.size + blockz_overlay_info(self->overlay).bytes;
}

static void say_missing(const struct overlay_commit *self, struct blockz_fault *fault)
{
	struct statvfs fs;
	size_t len = strlen(fault->text);
	uint64_t room = self->plan != NULL ? room_of_plan(self->plan) : room_at_most(self);
	if (fstatvfs(self->file->dirfd, &fs) < 0)
		return;
	uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room > free_bytes)
		snprintf(fault->text + len, sizeof(fault->text) - len, "; %s%" PRIu64 " byte%s are missing",
			 self->plan != NULL ? "" : "up to ", room - free_bytes, plural(room - free_bytes));
}

/* ---- The commit */

static enum blockz_status change_file(struct overlay_commit *self, struct blockz_fault *fault)
{
	scratch_store_release(&self->scratch);
	enum blockz_status status = carry_out_prepare(&self->work, fault);
	if (status == BLOCKZ_OK)
		status = blockz_overlay_announce(self->overlay, self->plan, &self->file->source, fault);
	return status == BLOCKZ_OK ? carry_out_commit(&self->work, fault) : status;
}

/* The overlay is needed as long as it is not sure that the file holds all of it, also behind a power failure. */
static enum blockz_status commit(struct overlay_commit *self, struct blockz_fault *fault)
{
	enum blockz_status status = make_plan(self, fault);
	if (status != BLOCKZ_OK)
		return status;
	self->work = (struct carry_out){
		CARRY_OUT_INIT, .path = self->path, .file = self->file, .plan = self->plan, .has_overlay = true,
	};
	if (blockz_plan_info(self->plan).writes > 0)
		status = change_file(self, fault);
	return status == BLOCKZ_OK ? blockz_overlay_drop(self->overlay, fault) : status;
}

enum blockz_status overlay_commit_run(struct overlay_commit *self, struct blockz_fault *fault)
{
	struct blockz_fault why;
	enum blockz_status status = commit(self, &why);
	if (status == BLOCKZ_OK)
		return status;
	carry_out_close(&self->work); /* what it has taken is free again, */
	scratch_store_release(&self->scratch); /* and what was held for it */
	if (why.error == ENOSPC || why.error == EDQUOT)
		say_missing(self, &why);
	if (why.state != BLOCKZ_IMAGE_NEEDS_RECOVERY) {
		why.state = BLOCKZ_IMAGE_NEEDS_RECOVERY;
		why.remedy = BLOCKZ_REMEDY_RECOVER;
	}
	if (fault != NULL)
		*fault = why;
	return status;
}

void overlay_commit_close(struct overlay_commit *self)
{
	carry_out_close(&self->work);
	blockz_plan_free(self->plan);
	scratch_store_close(&self->scratch);
	blockz_map_free(self->map);
	free(self->edits);
	self->plan = NULL;
	self->map = NULL;
	self->edits = NULL;
	self->count = 0;
}
