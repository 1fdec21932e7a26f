/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to be true of a client, its encoders and its OLD, before it applies a delta.  Nothing is written. */
#ifndef DELTA_APPLY_CHECK_CLIENT_H
#define DELTA_APPLY_CHECK_CLIENT_H

#include "delta/file/delta.h"

/*
 * Whether a delta with this head can be applied to old here.  Reads OLD.  Errors: BLOCKZ_UNSUPPORTED (an encoder),
 * BLOCKZ_DAMAGED (another OLD), BLOCKZ_USAGE (OLD of unknown size), BLOCKZ_FAILED.
 */
enum blockz_status check_client(const struct delta_head *head, const struct blockz_source *old,
				const struct codec_env *env, const struct blockz_work *work,
				struct blockz_fault *fault);

#endif
