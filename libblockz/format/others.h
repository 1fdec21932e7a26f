/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are none of ours, by name: for a refusal that says what somebody has there. */
#ifndef FORMAT_OTHERS_H
#define FORMAT_OTHERS_H

#include <stddef.h>
#include <stdint.h>

enum { OTHERS_HEAD_LEN = 4104 }; /* so much of a file's beginning tells all */

/* What a file that begins with these bytes is, with an article, or NULL: nothing that is known. */
const char *other_by_magic(const uint8_t *head, size_t len);

#endif
