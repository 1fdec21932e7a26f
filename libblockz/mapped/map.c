/* SPDX-License-Identifier: BSD-3-Clause */
/* A map by the format that the head of a file shows, and what is told of it in numbers. */
#include "base/export.h"
#include "base/fault.h"
#include "format/formats.h"
#include "format/others.h"

EXPORT enum blockz_status blockz_map_read(const struct blockz_source *file,
					  const struct blockz_map_options *options, struct blockz_map **map_ret,
					  struct blockz_fault *fault)
{
	uint8_t head[OTHERS_HEAD_LEN];
	size_t len = 0;
	if (file->size == BLOCKZ_UNKNOWN)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "a map needs a file that can be read anywhere");
	int error = file->ops->read(file->ctx, head, sizeof(head), 0, &len);
	if (error != 0)
		return fault_errno(fault, error, 0, "read");
	const struct format *format = format_by_magic(head, len);
	if (format == NULL)
		return format_refuse(head, len, fault);
	struct blockz_map *map = map_new(format, file->size);
	if (map == NULL)
		return fault_nomem(fault);
	map->window_max = options != NULL && options->window_max > 0 ? options->window_max : BLOCKZ_WINDOW_MAX;
	map->raw_only = options != NULL && options->raw_only;
	enum blockz_status status = format->map(file, options != NULL && options->scan, map, fault);
	if (status != BLOCKZ_OK) {
		blockz_map_free(map);
		return status;
	}
	map_sort_checks(map);
	*map_ret = map;
	return BLOCKZ_OK;
}

EXPORT struct blockz_map_info blockz_map_info(const struct blockz_map *map)
{
	struct blockz_map_info info = {
		.format = map->format->public.name,
		.file_size = map->file_size,
		.image_size = map->image_size,
		.index = map->index,
		.appended_bytes = map->appended_bytes,
	};
	for (size_t i = 0; i < map->piece_count; i++)
		info.pieces += map_pieces_of(map, i);
	return info;
}
