/* SPDX-License-Identifier: BSD-3-Clause */
/* A Block that is filled up to a length: a row of struct format. */
#ifndef FORMAT_XZ_FILL_H
#define FORMAT_XZ_FILL_H

#include "format/format.h"

enum blockz_status xz_fill(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault);

#endif
