/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of the overlay decides, unless somebody has said what to do. */
#include "patch/overlay_recover.h"

static enum blockz_status drop(struct overlay_recover *self, enum overlay_recovery done, struct blockz_fault *fault)
{
	enum blockz_status status = blockz_overlay_drop(self->overlay, fault);
	if (status == BLOCKZ_OK)
		self->done = done;
	return status;
}

static enum blockz_status commit(struct overlay_recover *self, struct blockz_fault *fault)
{
	self->commit.overlay = self->overlay;
	enum blockz_status status = overlay_commit_run(&self->commit, fault);
	if (status == BLOCKZ_OK)
		self->done = OVERLAY_RECOVERY_COMMITTED;
	return status;
}

static enum blockz_status adopt(struct overlay_recover *self, struct blockz_fault *fault)
{
	enum blockz_status status = blockz_overlay_adopt(self->overlay, fault);
	return status == BLOCKZ_OK ? commit(self, fault) : status;
}

enum blockz_status overlay_recover_run(struct overlay_recover *self, enum blockz_remedy remedy, struct blockz_fault *fault)
{
	const struct compressed *file = self->commit.file;
	enum blockz_status status = blockz_overlay_open(file->dirfd, file->name, &file->store, BLOCKZ_OVERLAY_WRITE, &self->overlay,
							fault);
	if (status != BLOCKZ_OK)
		return status;
	enum blockz_overlay_state state = blockz_overlay_info(self->overlay).state;
	if (state == BLOCKZ_OVERLAY_NONE)
		return BLOCKZ_OK;
	if (state == BLOCKZ_OVERLAY_COMMITTED)
		return drop(self, OVERLAY_RECOVERY_REMOVED, fault);
	if (remedy == BLOCKZ_REMEDY_DROP)
		return drop(self, OVERLAY_RECOVERY_DROPPED, fault);
	if (state == BLOCKZ_OVERLAY_OF_FILE)
		return commit(self, fault);
	if (state == BLOCKZ_OVERLAY_OF_OTHER_FILE && remedy == BLOCKZ_REMEDY_COMMIT)
		return adopt(self, fault);
	return blockz_overlay_refuse(self->overlay, fault);
}

void overlay_recover_close(struct overlay_recover *self)
{
	overlay_commit_close(&self->commit);
	blockz_overlay_close(self->overlay);
	self->overlay = NULL;
}

const char *overlay_recovery_text(enum overlay_recovery done)
{
	static const char *const texts[] = {
		[OVERLAY_RECOVERY_NONE] = "no overlay, image unchanged",
		[OVERLAY_RECOVERY_COMMITTED] = "what was written to a served disk is in it now",
		[OVERLAY_RECOVERY_REMOVED] = "what was written to a served disk was in it already; the overlay was removed",
		[OVERLAY_RECOVERY_DROPPED] = "the overlay was removed, and what was written to a served disk with it; image unchanged",
	};
	return texts[done];
}
