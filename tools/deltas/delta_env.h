/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What everything that makes or applies a delta is given by its command.
 *
 * This folder makes, proves and applies deltas of both formats, by the library, the program xdelta3 and the helper for LZO, and
 * says what came of it.  It calls files/ and cli/.  It never gives a file its name: that is for the command, once all is proved.
 */
#ifndef DELTAS_DELTA_ENV_H
#define DELTAS_DELTA_ENV_H

#include "blockz_delta.h"
#include "cli/cli.h"

struct delta_env {
	struct cli *cli; /* for its progress and threads */
	const struct blockz_lzo *lzo; /* NULL: none */
	int dirfd;                    /* of unnamed files; see scratch_open() */
};

/* Starts a step with a bar of its own, until cli_work_end(). */
static inline struct blockz_merge_options delta_env_start(const struct delta_env *env, const char *label, uint64_t total)
{
	return (struct blockz_merge_options){ .lzo = env->lzo, .work = cli_work(env->cli, label, total) };
}

#endif
