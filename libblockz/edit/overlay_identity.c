/* SPDX-License-Identifier: BSD-3-Clause */
/* What an overlay knows of a file: its own, and the one that a plan makes of that, which is read before it is made. */
#include "edit/overlay_identity.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "io/access.h"
#include "journal/journal.h"
#include "edit/planned.h"
#include "range/map.h"

/* ---- Pieces ---- */

enum { PIECE_END = 32 }; /* bytes; no check is longer */

static enum blockz_status digest_ends(const struct blockz_source *file, const struct blockz_map *map, XXH64_state_t *sum,
				      struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < map->piece_count && status == BLOCKZ_OK; i++) {
		const struct piece *piece = &map->pieces[i];
		uint8_t end[PIECE_END];
		size_t len = (size_t)min(piece->file_len, PIECE_END);
		status = read_file(file, end, len, piece->file_off + piece->file_len - len, fault);
		if (status == BLOCKZ_OK)
			XXH64_update(sum, end, len);
	}
	return status;
}

static enum blockz_status digest_map(const struct blockz_source *file, const struct blockz_map *map, uint64_t *pieces_ret,
				     struct blockz_fault *fault)
{
	XXH64_state_t *sum = XXH64_createState();
	if (sum == NULL)
		return fault_nomem(fault);
	XXH64_reset(sum, 0);
	enum blockz_status status = digest_ends(file, map, sum, fault);
	if (status == BLOCKZ_OK)
		*pieces_ret = XXH64_digest(sum);
	XXH64_freeState(sum);
	return status;
}

enum blockz_status overlay_identity_pieces(const struct blockz_source *file, uint64_t *pieces_ret, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	enum blockz_status status = blockz_map_read(file, NULL, &map, fault);
	if (status == BLOCKZ_FAILED)
		return status;
	*pieces_ret = 0;
	if (status != BLOCKZ_OK)
		return BLOCKZ_OK;
	status = digest_map(file, map, pieces_ret, fault);
	blockz_map_free(map);
	return status;
}

/* ---- All of it ---- */

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
	struct overlay_identity identity = { .file_size = file->size };
	enum blockz_status status = read_ends(ends, file, fault);
	if (status == BLOCKZ_OK)
		identity.ends = journal_ends_digest(ends);
	free(ends);
	if (status == BLOCKZ_OK)
		status = overlay_identity_pieces(file, &identity.pieces, fault);
	if (status == BLOCKZ_OK)
		*identity_ret = identity;
	return status;
}

EXPORT enum blockz_status blockz_overlay_open(int dirfd, const char *name, const struct blockz_store *file,
					      enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret,
					      struct blockz_fault *fault)
{
	return overlay_open_beside(dirfd, name, file, overlay_identity_pieces, mode, overlay_ret, fault);
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
