/* SPDX-License-Identifier: BSD-3-Clause */
/* What an overlay knows of the file that a plan makes, which is read before it is made. */
#include <stdlib.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "io/access.h"
#include "journal/journal.h"
#include "journal/overlay.h"
#include "mapped/planned.h"

static enum blockz_status read_ends(struct journal_ends *ends, const struct blockz_source *file, struct blockz_fault *fault)
{
	ends->file_size = file->size;
	ends->first_len = ends->last_len = (size_t)min(file->size, JOURNAL_ENDS);
	enum blockz_status status = read_file(file, ends->first, ends->first_len, 0, fault);
	return status == BLOCKZ_OK ? read_file(file, ends->last, ends->last_len, file->size - ends->last_len, fault) : status;
}

static enum blockz_status identify(const struct blockz_source *file, struct overlay_identity *identity_ret,
				   struct blockz_fault *fault)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	if (ends == NULL)
		return fault_nomem(fault);
	enum blockz_status status = read_ends(ends, file, fault);
	if (status == BLOCKZ_OK)
		*identity_ret = (struct overlay_identity){ file->size, journal_ends_digest(ends) };
	free(ends);
	return status;
}

EXPORT enum blockz_status blockz_overlay_announce(struct blockz_overlay *overlay, const struct blockz_plan *plan,
						  const struct blockz_source *file, struct blockz_fault *fault)
{
	struct planned_file planned;
	struct overlay_identity next;
	enum blockz_status status = planned_init(&planned, plan, file, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_source source = planned_source(&planned);
	status = identify(&source, &next, fault);
	if (status == BLOCKZ_OK)
		status = overlay_set_next(overlay, &next, fault);
	planned_free(&planned);
	return status;
}
