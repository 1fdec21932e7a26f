/* SPDX-License-Identifier: BSD-3-Clause */
/* Written range by range, since there can be a million of them. */
#include "draw/map_json.h"

#include <inttypes.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "draw/edit_text.h"

static void print_extents(FILE *out, const struct blockz_map *map, const struct map_row *row)
{
	struct blockz_extent extent;
	const char *comma = "";
	fputs(", \"extents\": [", out);
	for (uint64_t off = row->range.start; map_row_extent(map, row, off, &extent); off += extent.length) {
		fprintf(out, "%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"file_offset\": %" PRIu64 "}", comma, off,
			extent.length, extent.file_off);
		comma = ", ";
	}
	fputc(']', out);
}

static bool print_head(FILE *out, const struct map_view *view)
{
	struct blockz_map_info info = blockz_map_info(view->map);
	uint64_t sector_size = view->partitions->sector_size != 0 ? view->partitions->sector_size : BLOCKZ_UNKNOWN;
	json_t *head = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "format", info.format, "file_size",
				 json_bytes(info.file_size), "image_size", json_bytes(info.image_size), "index",
				 json_index(info.index), "pieces", json_bytes(info.pieces), "sector_size",
				 json_bytes(sector_size), "appended_bytes", json_bytes(info.appended_bytes));
	bool done = fputc('{', out) != EOF && json_print(out, head, JSON_EMBED);
	json_decref(head);
	return done;
}

static void print_edit(FILE *out, const struct blockz_map *map, struct blockz_range range)
{
	const struct blockz_edit_cost cost = blockz_map_edit_cost(map, range);
	fprintf(out, ", \"edit\": {\"how\": \"%s\"", edit_how_name(cost.how));
	if (cost.how != BLOCKZ_EDIT_NONE)
		fprintf(out, ", \"new_file\": %s, \"milliseconds\": %" PRIu64, cost.new_file ? "true" : "false",
			(cost.ns + 500000) / 1000000);
	if (cost.piece_image_bytes > 0)
		fprintf(out, ", \"image_bytes\": %" PRIu64 ", \"file_bytes\": %" PRIu64, cost.piece_image_bytes,
			cost.piece_file_bytes);
	fputc('}', out);
}

/* False: no memory. */
static bool print_row(FILE *out, const struct map_view *view, const struct map_row *row, const char *comma)
{
	static const char *const kinds[] = {
		[BLOCKZ_COMPRESSED] = "compressed", [BLOCKZ_RAW] = "raw", [BLOCKZ_ZERO] = "zero",
	};
	json_t *partition = row->partition != NULL ? partition_json(row->partition) : json_null();
	fprintf(out,
		"%s\n{\"start\": %" PRIu64 ", \"end\": %" PRIu64 ", \"kind\": \"%s\", \"patchable\": %s, \"partition\": ", comma,
		row->range.start, row->range.end, kinds[row->range.kind], row->range.patchable ? "true" : "false");
	bool done = json_print(out, partition, JSON_ENCODE_ANY);
	json_decref(partition);
	if (!done)
		return false;
	print_edit(out, view->map, (struct blockz_range){ row->range.start, row->range.end });
	if (view->extents && row->range.kind == BLOCKZ_RAW)
		print_extents(out, view->map, row);
	fputc('}', out);
	return true;
}

enum blockz_status map_json_print(FILE *out, const struct map_view *view, struct blockz_fault *fault)
{
	struct map_rows rows = map_rows_open(view->map, view->partitions);
	const char *comma = "";
	struct map_row row;
	bool done = print_head(out, view);
	fputs(", \"ranges\": [", out);
	for (; done && map_rows_next(&rows, &row); comma = ",")
		done = print_row(out, view, &row, comma);
	if (!done)
		return tool_fault(fault, BLOCKZ_FAILED, "the map could not be printed");
	fputs("]}\n", out);
	return BLOCKZ_OK;
}
