/* SPDX-License-Identifier: BSD-3-Clause */
/* What only overlay.c and overlay_write.c see of an overlay. */
#ifndef JOURNAL_OVERLAY_PRIVATE_H
#define JOURNAL_OVERLAY_PRIVATE_H

#include <pthread.h>

#include "journal/overlay.h"
#include "journal/overlay_pages.h"

struct overlay_file;

struct blockz_overlay {
	struct overlay_file *beside; /* what place is of; NULL: it is somebody else's */
	const struct blockz_store *place, *file;
	overlay_digest *digest; /* of the file's pieces; NULL: it has none */
	bool writable;
	_Atomic bool is_there; /* it has been made, or found: what it holds can be read */
	enum blockz_overlay_state state; /* of what was found; BLOCKZ_OVERLAY_OF_FILE of what is made */
	const char *note;
	struct overlay_header header;
	struct overlay_pages pages;

	pthread_mutex_t sync_lock; /* of flushes, and of the failure */
	_Atomic bool failed;
	struct blockz_fault failure; /* once failed is set */
};

/* Where page 0 stands, and how long it is with room for all pages. */
uint64_t overlay_data_off(const struct blockz_overlay *overlay);
uint64_t overlay_file_len(const struct blockz_overlay *overlay);

/* By what the file is known as it is now.  Errors: BLOCKZ_FAILED. */
enum blockz_status overlay_identify(const struct blockz_overlay *overlay, struct overlay_identity *identity_ret,
				    struct blockz_fault *fault);

#endif
