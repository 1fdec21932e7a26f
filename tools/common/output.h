/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a command writes: a newfile.h, or standard output, that is given up when a signal comes.
 *
 *	output_open() ... write to output.fd ... output_sync() ... look at it ... output_commit()
 *	output_close() in any case
 *
 * At most two can be open at a time.
 */
#ifndef COMMON_OUTPUT_H
#define COMMON_OUTPUT_H

#include "audience.h"
#include "blockz.h"
#include "newfile.h"

struct output {
	int fd; /* open for reading and writing; that of stdout perhaps for writing only */
	bool is_stdout;
	struct newfile file; /* closed where it is stdout */
	/* Private. */
	bool is_whole; /* stdout gets it from an unnamed file */
};

/* One that is closed. */
#define OUTPUT_INIT { .fd = -1, .file = NEWFILE_INIT }

/*
 * As newfile_open(), which has the errors too; force: a regular file at path may be replaced; audience: of all that it is
 * made from, known by output_sync(), must live as long.  path "-": standard output is used as it is.  A signal that ends the program removes the temporary file.
 */
enum blockz_status output_open(struct output *output, const char *path, bool force, const struct audience *audience,
			       struct blockz_fault *fault);

/*
 * The same for what is looked at before anybody may have it: for "-", fd is an unnamed file (see scratch.h), which
 * output_commit() copies to standard output.
 */
enum blockz_status output_open_whole(struct output *output, const char *path, bool force, const struct audience *audience,
			       struct blockz_fault *fault);

/* Makes the content durable; stdout is left alone. */
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
