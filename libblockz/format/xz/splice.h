/* SPDX-License-Identifier: BSD-3-Clause */
/* An edit inside of a long Block: a row of struct format. */
#ifndef FORMAT_XZ_SPLICE_H
#define FORMAT_XZ_SPLICE_H

#include "format/format.h"

enum blockz_status xz_splice(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault);

#endif
