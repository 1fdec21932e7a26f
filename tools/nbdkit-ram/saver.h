/* SPDX-License-Identifier: BSD-3-Clause */
/* save=: the image as a file, of one moment while it is served, and at the end. */
#ifndef NBDKIT_RAM_SAVER_H
#define NBDKIT_RAM_SAVER_H

#include <stdatomic.h>

#include "base.h"
#include "files/audience.h"
#include "settings.h"

/* Starts as zeros but for the first four, which the caller sets. */
struct saver {
	const struct settings *settings;
	struct blockz_pages *pages;
	const struct base *base;  /* the file that was loaded; zeros: none was */
	struct audience audience; /* of that file */
	/* Private. */
	atomic_bool changed; /* the file lacks something */
	atomic_bool stop;
	bool failed, saved; /* the last save; any */
};

/*
 * Whether a file could be written where it is wanted: makes a temporary one and removes it.  Looks at raw= as well.
 * Errors: those of newfile_open(), BLOCKZ_USAGE.
 */
enum blockz_status saver_try(const struct saver *saver, struct blockz_fault *fault);

/*
 * The file lacks something: to be called behind each write, whatever came of it, and at the start where the file is not yet
 * what was asked for.  Any thread may call it.
 */
void saver_note(struct saver *saver);

/*
 * Saves to a temporary file, which takes the place of the old one when it is complete and durable.  Tells the user what
 * came of it.  One at a time.
 */
void saver_save(struct saver *saver);

/* Saves once more if the file lacks something, or tells the user that it does not. */
void saver_end(struct saver *saver);

/* Ends a save that is under way, soon and without a word; a later one is not affected once it is false again. */
void saver_stop(struct saver *saver, bool stop);

/* Whether the last save failed, or is not as it was asked for. */
bool saver_has_failed(const struct saver *saver);

#endif
