/* SPDX-License-Identifier: BSD-3-Clause */
/* Of a plan in place all is done by the library; of a splice, by a copy that is renamed. */
#include "patch/carry_out.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cli/fault.h"
#include "cli/signals.h"
#include "patch/copy.h"

/* ---- A new file */

/* Its readers, and nobody else: what was written to it before is read by them all the same. */
static enum blockz_status open_beside(struct carry_out *self, struct blockz_fault *fault)
{
	const struct newfile_options options = {
		.replace = true, .held = &self->file->store, .has_overlay = self->has_overlay, .audience = &self->audience,
	};
	audience_add_compressed(&self->audience, self->file);
	return output_open_file(&self->output, self->path, &options, fault);
}

/* Nobody shall own an image, or lose it, because somebody who may write to it has changed a byte. */
static enum blockz_status check_owner(const struct carry_out *self, struct blockz_fault *fault)
{
	struct stat old, new;
	if (fstatat(self->file->dirfd, self->file->name, &old, AT_SYMLINK_NOFOLLOW) < 0 || fstat(self->output.fd, &new) < 0)
		return tool_fault_errno(fault, errno, "stat");
	if (old.st_uid == new.st_uid && old.st_gid == new.st_gid)
		return BLOCKZ_OK;
	return tool_fault(fault, BLOCKZ_FAILED,
			  "a new file in its place would belong to somebody else; --output writes one beside it");
}

/* The lock of a reader keeps writers out, and needs no sync of the directory. */
static enum blockz_status lock_new(struct carry_out *self, struct blockz_fault *fault)
{
	const struct newfile *file = &self->output.file;
	return blockz_store_open(file->dirfd, file->temporary, BLOCKZ_STORE_READ, &self->lock, fault);
}

static enum blockz_status make_new(struct carry_out *self, struct blockz_fault *fault)
{
	enum blockz_status status = open_beside(self, fault);
	if (status == BLOCKZ_OK)
		status = output_reserve(&self->output, blockz_plan_info(self->plan).file_size, fault);
	if (status == BLOCKZ_OK)
		status = copy_patched(self->plan, self->file, &self->output, NULL, fault);
	if (status == BLOCKZ_OK)
		status = output_sync(&self->output, fault);
	if (status == BLOCKZ_OK)
		status = check_owner(self, fault);
	return status == BLOCKZ_OK ? lock_new(self, fault) : status;
}

/* ---- Both ways */

/* A server may have had it open for long. */
static enum blockz_status still_there(const struct carry_out *self, struct blockz_fault *fault)
{
	return store_is_at(&self->file->store, self->file->dirfd, self->file->name)
		       ? BLOCKZ_OK
		       : tool_fault(fault, BLOCKZ_FAILED, "is gone, or another file has taken its place since it was opened");
}

enum blockz_status carry_out_prepare(struct carry_out *self, struct blockz_fault *fault)
{
	enum blockz_status status = still_there(self, fault);
	if (status != BLOCKZ_OK)
		return status;
	return blockz_plan_info(self->plan).is_splice ? make_new(self, fault) : BLOCKZ_OK;
}

enum blockz_status carry_out_commit(struct carry_out *self, struct blockz_fault *fault)
{
	enum blockz_status status = still_there(self, fault);
	if (status != BLOCKZ_OK)
		return status;
	signals_hold();
	if (blockz_plan_info(self->plan).is_splice)
		return output_commit(&self->output, fault);
	return blockz_plan_apply(self->plan, &self->file->store, fault);
}

void carry_out_close(struct carry_out *self)
{
	blockz_store_close(&self->lock);
	output_close(&self->output);
}
