/* SPDX-License-Identifier: BSD-3-Clause */
/* Images as a served disk shows them: with what lies in an overlay laid over what is in the file. */
#ifndef FILES_LAID_OVER_H
#define FILES_LAID_OVER_H

#include "blockz_disk.h"

/*
 * Lays what an overlay holds over len bytes of the image, which stand in buf and were read at off.  overlay NULL: there is
 * none.  0 or an errno value.
 */
int laid_over_bytes(const struct blockz_overlay *overlay, void *buf, size_t len, uint64_t off);

/* A sink for a range of the image, in order, which passes on what the disk shows there. */
struct laid_over_sink {
	const struct blockz_overlay *overlay;
	uint64_t position;              /* image offset of what comes next */
	const struct blockz_sink *sink; /* where it goes */
	uint8_t *buffer;                /* private */
};

/* self: starts as zeros but for these three; it must live as long.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status laid_over_sink_start(struct laid_over_sink *self, struct blockz_sink *sink_ret, struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void laid_over_sink_free(struct laid_over_sink *self);

#endif
