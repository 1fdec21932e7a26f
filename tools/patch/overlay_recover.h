/* SPDX-License-Identifier: BSD-3-Clause */
/* What a server has left behind in an overlay, seen to: the second half of recovery, when there is no journal any more. */
#ifndef PATCH_OVERLAY_RECOVER_H
#define PATCH_OVERLAY_RECOVER_H

#include "patch/overlay_commit.h"

enum overlay_recovery {
	OVERLAY_RECOVERY_NONE,      /* there was none */
	OVERLAY_RECOVERY_COMMITTED, /* what it held is in the file */
	OVERLAY_RECOVERY_REMOVED,   /* it was so already, and the overlay is gone */
	OVERLAY_RECOVERY_DROPPED,   /* the overlay is gone, with what it held; the image is as it was */
};

/* Starts as zeros. */
struct overlay_recover {
	enum overlay_recovery done;
	struct overlay_commit commit; /* its plan and work where it was committed; the caller sets its options before */
	/* Private. */
	struct blockz_overlay *overlay;
};

/*
 * Finds out to which file the overlay beside one belongs, and commits or drops it.  self->commit: path, file, and options are
 * set.  With BLOCKZ_REMEDY_DROP it is dropped whatever it is; with BLOCKZ_REMEDY_COMMIT it is committed although the file may
 * be another one.
 * Errors: those of blockz_overlay_open() and overlay_commit_run(); BLOCKZ_NEEDS_RECOVERY: it is another file's, or not to be
 * trusted; nothing was touched.
 */
enum blockz_status overlay_recover_run(struct overlay_recover *self, enum blockz_remedy remedy, struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void overlay_recover_close(struct overlay_recover *self);

/* What came of it, in a line. */
const char *overlay_recovery_text(enum overlay_recovery done);

#endif
