/* SPDX-License-Identifier: BSD-3-Clause */
/* What everything that makes or applies a delta is given by its command. */
#ifndef DELTAS_DELTA_ENV_H
#define DELTAS_DELTA_ENV_H

#include "blockz_delta.h"
#include "cli/cli.h"

struct delta_env {
	struct cli *cli; /* for its progress */
	unsigned threads;
	const struct blockz_lzo *lzo; /* NULL: none */
	int dirfd;                    /* of unnamed files; see scratch_open() */
};

#endif
