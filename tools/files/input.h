/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is only read, whatever it is: images as files or devices, deltas as files or streams.
 *
 * This folder opens, makes and replaces what a user names on the command line: here what is read, in output.h what is written,
 * in compressed.h what may be both.  It calls the public library and cli/.  It never looks into an image, and never follows a
 * path where somebody else may have laid a trap.
 */
#ifndef FILES_INPUT_H
#define FILES_INPUT_H

#include "blockz.h"
#include "files/audience.h"
#include "files/compressed.h"

/* Must not be moved while it is open: source points into it. */
struct input {
	struct blockz_source source;
	/* Private. */
	struct compressed file; /* a file or device with a lock */
	int fd;                 /* anything else, if is_open */
	bool is_open;
};

/*
 * Opens an image, which has to be of known size: a regular file or a block device, locked and refused as by
 * compressed_open().  replaced: it is to be replaced by an output, which takes the lock itself.
 * Errors: those of blockz_store_open(), BLOCKZ_UNSUPPORTED (a stream).
 */
enum blockz_status input_open_image(struct input *input, const char *path, bool replaced, struct blockz_fault *fault);

/* Opens a file, or a stream, without a lock; "-" is standard input.  Errors: BLOCKZ_FAILED, BLOCKZ_USAGE. */
enum blockz_status input_open(struct input *input, const char *path, struct blockz_fault *fault);

/* Adds it to the sources of an output. */
void input_add_to(const struct input *input, struct audience *audience);

/* Fine for zeros, and twice. */
void input_close(struct input *input);

/* Whether a file that input_open() opened is the one at path. */
bool input_is_at(const struct input *input, const char *path);

/* Whether both paths lead to one file; false where there is none. */
bool input_is_same(const char *path, const char *other);

#endif
