/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plan brought into its file, whichever way it takes: in place through the journal, or by a new file that takes the
 * place of the old one.
 *
 *	carry_out_prepare() ... what has to be known before the file changes ... carry_out_commit()
 *	carry_out_close() in any case
 */
#ifndef PATCH_CARRY_OUT_H
#define PATCH_CARRY_OUT_H

#include "blockz.h"
#include "files/compressed.h"
#include "files/output.h"

/* Starts as CARRY_OUT_INIT with these four set; they must live as long. */
struct carry_out {
	const char *path;
	const struct compressed *file;  /* at path, open for writing; the plan is of it as it is */
	const struct blockz_plan *plan;
	bool has_overlay; /* the plan brings in the overlay of the file */
	/* Private, but for the descriptor of a new file. */
	struct output output;
	struct audience audience;
	struct blockz_store lock; /* of the new file */
};

#define CARRY_OUT_INIT .output = OUTPUT_INIT

/*
 * Does what can be done while the file still is as it was.  A new file is written beside it, synced, with the old one's
 * owner and permissions, and locked: nobody else writes to it before carry_out_close().
 * Errors: BLOCKZ_FAILED (also: it would belong to somebody else; no room, with fault->error;
 * the file has lost its name), those of newfile_open().
 */
enum blockz_status carry_out_prepare(struct carry_out *self, struct blockz_fault *fault);

/*
 * Changes the file, or gives the new one its name; from then on signals are noted only.  Behind a failure with the state
 * "updated" the file is the new one all the same.  Errors: those of blockz_plan_apply() and newfile_commit().
 */
enum blockz_status carry_out_commit(struct carry_out *self, struct blockz_fault *fault);

/* Removes a new file that has not got its name.  Fine for one that was not prepared, and twice. */
void carry_out_close(struct carry_out *self);

#endif
