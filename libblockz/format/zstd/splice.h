/* SPDX-License-Identifier: BSD-3-Clause */
/* An edit inside a frame: a row of struct format. */
#ifndef FORMAT_ZSTD_SPLICE_H
#define FORMAT_ZSTD_SPLICE_H

#include "format/format.h"

enum blockz_status zstd_splice(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault);

#endif
