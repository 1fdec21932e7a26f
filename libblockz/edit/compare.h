/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink that compares what it gets with a source, and stops, by ECANCELED, at the first difference, which it remembers. */
#ifndef EDIT_COMPARE_H
#define EDIT_COMPARE_H

#include "base/buffer.h"
#include "range/map.h"

struct compare_sink {
	const struct blockz_source *data;
	uint64_t pos;     /* offset in data of what comes next */
	uint64_t differs; /* offset in data of the first byte that differs; BLOCKZ_UNKNOWN: none so far */
	bool data_failed; /* data could not be read: whoever the sink returned an error to cannot know that it was not written */
	struct buffer part;
	/* NULL, or: bytes in patchable spans of this map are passed over; then image_pos is the image offset of pos. */
	const struct blockz_map *map;
	uint64_t image_pos;
	size_t span; /* the first that may end behind image_pos; 0 at first */
};

/* Returns the sink over *self, which must live as long; what it allocates goes by compare_sink_free(). */
struct blockz_sink compare_sink(struct compare_sink *self);
void compare_sink_free(struct compare_sink *self);

#endif
