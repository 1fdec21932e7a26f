/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of formats, and how one is found in it.  The only files of format/ that stand above the formats: a new one adds
 * its row to FORMAT_ROWS, and nothing else here.
 */
#ifndef FORMAT_FORMATS_H
#define FORMAT_FORMATS_H

#include "format/format.h"

/* In the order of blockz_format_at(). */
#define FORMAT_ROWS(row) \
	row(format_gzip) \
	row(format_xz) \
	row(format_zstd)

#define FORMAT_DECLARE(name) extern const struct format name;
FORMAT_ROWS(FORMAT_DECLARE)
#undef FORMAT_DECLARE

/* The format of this name, or NULL. */
const struct format *format_by_name(const char *name);

/* The method of a check's name, which has to be one of public->checks (NULL: the first).  Errors: BLOCKZ_USAGE. */
enum blockz_status format_choose_check(const struct blockz_format *public, const char *name,
				       enum check_method *method_ret, struct blockz_fault *fault);

/* The format of a file that begins with head, or NULL. */
const struct format *format_by_magic(const uint8_t *head, size_t len);

/* BLOCKZ_UNSUPPORTED for a file of none, which says what it is where that is known; see others.h. */
enum blockz_status format_refuse(const uint8_t *head, size_t len, struct blockz_fault *fault);

#endif
