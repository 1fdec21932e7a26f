/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a command writes: a newfile.h, that is given up when a signal comes, or a stream, written as it comes: standard output,
 * an open descriptor, a device, a FIFO.
 *
 *	output_open() ... write to output.fd ... output_sync() ... look at it ... output_commit()
 *	output_close() in any case
 *
 * At most three can be open at a time.
 */
#ifndef FILES_OUTPUT_H
#define FILES_OUTPUT_H

#include "blockz.h"
#include "files/audience.h"
#include "files/newfile.h"

struct output {
	int fd; /* open for reading and writing; that of a stream perhaps for writing only */
	bool is_stream;
	struct newfile file; /* closed where it is a stream */
	/* Private. */
	int stream;
	bool is_whole; /* the stream gets it from an unnamed file */
};

/* One that is closed. */
#define OUTPUT_INIT { .fd = -1, .stream = -1, .file = NEWFILE_INIT }

/* The name of an output as it was given, but "-" for each that means standard output. */
const char *output_name(const char *path);

/*
 * As newfile_open(), which has the errors too; force: a regular file at path may be replaced; audience: of all that it is
 * made from, known by output_sync(), must live as long.  path "-" is standard output, "/dev/fd/N" a descriptor; these, a
 * character device and a FIFO are written to as they are.  Errors: BLOCKZ_UNSUPPORTED too (a terminal, a block device).
 */
enum blockz_status output_open(struct output *output, const char *path, bool force, const struct audience *audience,
			       struct blockz_fault *fault);

/* The same for an output that is a regular file, and no stream, whatever stands at path; all options of newfile.h. */
enum blockz_status output_open_file(struct output *output, const char *path, const struct newfile_options *options,
				    struct blockz_fault *fault);

/*
 * As output_open() for what is looked at before anybody may have it: for a stream, fd is an unnamed file (see scratch.h), which
 * output_commit() copies to it.
 */
enum blockz_status output_open_whole(struct output *output, const char *path, bool force, const struct audience *audience,
				     struct blockz_fault *fault);

/* Takes room for len bytes, where the file system can: where there is none, nothing was done yet.  Errors: BLOCKZ_FAILED. */
enum blockz_status output_reserve(struct output *output, uint64_t len, struct blockz_fault *fault);

/* Makes the content durable; a stream is left alone. */
enum blockz_status output_sync(struct output *output, struct blockz_fault *fault);

/*
 * For an output that speaks of another file, which is changed between this call and output_commit(): syncs, and from
 * then on no signal keeps it from its name.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status output_hold(struct output *output, struct blockz_fault *fault);

/*
 * Syncs if that was not done, gives the file its name, durably; from then on signals are noted only.
 * Errors: those of newfile_commit().
 */
enum blockz_status output_commit(struct output *output, struct blockz_fault *fault);

/* Removes a file that was not committed, and closes.  Fine for one that is closed, and twice. */
void output_close(struct output *output);

#endif
