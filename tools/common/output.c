/* SPDX-License-Identifier: BSD-3-Clause */
#include "output.h"

#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "signals.h"

/* ---- Opening */

enum blockz_status output_open(struct output *output, const char *path, bool force, const struct audience *audience,
			       struct blockz_fault *fault)
{
	const struct newfile_options options = { .replace = force, .audience = audience };
	*output = (struct output)OUTPUT_INIT;
	if (strcmp(path, "-") == 0) {
		output->fd = STDOUT_FILENO;
		output->is_stdout = true;
		return BLOCKZ_OK;
	}
	/* The signal that comes between the two would find a file that it does not know of. */
	signals_hold();
	enum blockz_status status = newfile_open(&output->file, path, &options, fault);
	if (status == BLOCKZ_OK)
		signals_doom(output->file.dirfd, output->file.temporary);
	signals_release();
	output->fd = output->file.fd;
	return status;
}

enum blockz_status output_open_whole(struct output *output, const char *path, bool force, const struct audience *audience,
			       struct blockz_fault *fault)
{
	enum blockz_status status = output_open(output, path, force, audience, fault);
	if (status == BLOCKZ_OK && output->is_stdout) {
		output->fd = -1;
		output->is_whole = true;
		status = scratch_open(-1, &output->fd, fault);
	}
	return status;
}

/* ---- Completion */

enum blockz_status output_sync(struct output *output, struct blockz_fault *fault)
{
	return output->is_stdout ? BLOCKZ_OK : newfile_sync(&output->file, fault);
}

enum blockz_status output_hold(struct output *output, struct blockz_fault *fault)
{
	enum blockz_status status = output_sync(output, fault);
	if (status == BLOCKZ_OK)
		signals_hold();
	return status;
}

enum blockz_status output_commit(struct output *output, struct blockz_fault *fault)
{
	if (output->is_whole)
		return scratch_copy(output->fd, STDOUT_FILENO, fault);
	if (output->is_stdout)
		return BLOCKZ_OK;
	enum blockz_status status = output->file.synced ? BLOCKZ_OK : newfile_sync(&output->file, fault);
	if (status != BLOCKZ_OK)
		return status;
	signals_hold();
	signals_spare(output->file.temporary);
	return newfile_commit(&output->file, fault);
}

void output_close(struct output *output)
{
	/* What is closed here without its name failed: nothing but a message comes behind it. */
	signals_hold();
	signals_spare(output->file.temporary);
	newfile_close(&output->file);
	if (output->is_whole && output->fd >= 0)
		close(output->fd);
	*output = (struct output)OUTPUT_INIT;
}
