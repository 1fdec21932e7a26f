/* SPDX-License-Identifier: BSD-3-Clause */
/* What other programs keep in the headers of members, when pieces of these are encoded again. */
#ifndef FORMAT_GZIP_RENEW_HEADS_H
#define FORMAT_GZIP_RENEW_HEADS_H

#include "format/format.h"

/* The check in the trailer of the member that an image offset lies in. */
const struct check *gzip_trailer_over(const struct blockz_map *map, uint64_t off);

/*
 * Has the lengths of members follow that bgzip writes down, and the headers' own CRCs.  Errors: BLOCKZ_UNSUPPORTED (a field
 * of another program that would become wrong, or could), BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status gzip_renew_heads(const struct renewal *renewal, struct blockz_fault *fault);

#endif
