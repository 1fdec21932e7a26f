/* SPDX-License-Identifier: BSD-3-Clause */
/* Files whose images get another size. */
#ifndef RESIZED_H
#define RESIZED_H

#include "images.h"

struct outcome {
	struct blockz_plan_info info;
	struct bytes file;
};

/*
 * Plans a size and edits by the file's map, and carries the plan out: what it does not name stands in the new file as it was.
 * *outcome is set on success.
 */
enum blockz_status resize_by(struct bytes file, bool scan, uint64_t size, const struct blockz_edit *edits, size_t count,
			     enum blockz_way way, struct outcome *outcome, struct blockz_fault *fault);

/* One that is known to be possible; returns the new file. */
struct bytes resize(struct bytes file, bool scan, uint64_t size, const struct blockz_edit *edits, size_t count);

/* The image as it is to be: cut, or with zeros behind it. */
struct bytes plain_resize(struct bytes image, uint64_t size);

/*
 * An edit that writes a part of `edited`, which has the new size and is changed so, anywhere: mostly about the old end, or behind
 * it.
 */
struct blockz_edit edit_about(struct bytes edited, uint64_t old_size);

#endif
