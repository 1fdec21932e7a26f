/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits inside a long deflate stream, whoever wrote it: a row of struct format. */
#ifndef FORMAT_DEFLATE_SPLICE_H
#define FORMAT_DEFLATE_SPLICE_H

#include "format/format.h"

enum blockz_status deflate_splice(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault);

#endif
