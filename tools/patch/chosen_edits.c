/* SPDX-License-Identifier: BSD-3-Clause */
/* A file system is written back whole even where only some blocks of it are raw; any other edit has to lie in raw ranges. */
#include "patch/chosen_edits.h"

#include "disks/partition.h"

static enum blockz_status add_partition(struct edits *edits, const struct patch_options *options, const struct edited_file *file,
					struct blockz_fault *fault)
{
	struct partitions partitions = { 0 };
	struct blockz_range range;
	enum blockz_status status = partitions_of_file(file->source, file->map, NULL, file->sector_size, &partitions, fault);
	if (status == BLOCKZ_OK)
		status = partition_find(&partitions, options->partition, &range, fault);
	if (status == BLOCKZ_OK)
		status = edits_add_input(edits, options->input, range, true, fault);
	partitions_free(&partitions);
	return status;
}

enum blockz_status chosen_edits_add(struct edits *edits, const struct patch_options *options, const struct edited_file *file,
				    struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	struct blockz_range place = {
		options->offset, options->resize ? options->image_size : blockz_map_info(file->map).image_size,
	};
	if (options->base != NULL)
		status = edits_add_difference(edits, options->from, options->base, place.end, fault);
	else if (options->from != NULL)
		status = edits_add_image(edits, options->from, place.end, fault);
	else if (options->partition != NULL)
		status = add_partition(edits, options, file, fault);
	else if (options->has_offset)
		status = edits_add_input(edits, options->input, place, false, fault);
	for (size_t i = 0; i < options->set_count && status == BLOCKZ_OK; i++) {
		place.start = options->sets[i].off;
		status = edits_add_input(edits, options->sets[i].path, place, false, fault);
	}
	return status;
}
