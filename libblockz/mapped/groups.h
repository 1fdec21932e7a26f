/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pieces of groups, found in the file when one of them is first wanted, and kept.
 *
 * A group is a piece too: it decodes on its own, and whoever goes by the map alone reads all of it right.
 */
#ifndef MAPPED_GROUPS_H
#define MAPPED_GROUPS_H

#include "format/format.h"

struct groups;

/* A piece that contains an image offset. */
struct group_piece {
	struct piece piece;
	uint64_t end; /* in the image */
	bool is_apart; /* it is one of a group; false: an item of the map */
};

/* NULL: no memory.  The file and the map must live as long. */
struct groups *groups_new(const struct blockz_source *file, const struct blockz_map *map);
void groups_free(struct groups *groups); /* NULL is fine */

/*
 * The piece that contains image offset off.  Where the pieces of a group cannot be told from each other, it is all of that.  Any
 * thread may call it.  Errors: BLOCKZ_DAMAGED (the file has become shorter), BLOCKZ_FAILED.
 */
enum blockz_status groups_piece(struct groups *groups, uint64_t off, struct group_piece *piece_ret, struct blockz_fault *fault);

/*
 * Makes a map in which the groups that meet ranges of the image are replaced by their pieces, as far as these can be told, and
 * a map has room.  The ranges ascend.  Errors: as above.
 */
enum blockz_status groups_open(const struct blockz_source *file, const struct blockz_map *map,
			       const struct blockz_range *ranges, size_t count, struct blockz_map **map_ret,
			       struct blockz_fault *fault);

#endif
