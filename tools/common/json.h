/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON of what the tools report. */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>

#include "blockz.h"

/* A string of any bytes; what is not printable UTF-8 becomes \xNN.  NULL: no memory. */
json_t *json_text(const char *text);

/* Where a map comes from: "header", "trailer", or "none" for a scan. */
json_t *json_index(enum blockz_index index);

/* An offset or a length; null for BLOCKZ_UNKNOWN. */
json_t *json_bytes(uint64_t value);

#endif
