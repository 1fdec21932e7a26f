/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON of what the tools report. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "blockz.h"

/*
 * A name as it is: a string, or where it is no UTF-8, which no JSON string can hold, an array of its bytes as numbers
 * (as journalctl's JSON has it).  NULL: no memory.
 */
json_t *json_name(const char *name);

/* The same of a path on the command line: null for a stream, which has no name. */
json_t *json_path(const char *path);

/* A message, as it is on the terminal: escape(), and a string in any case.  NULL: no memory. */
json_t *json_message(const char *text);

/*
 * Prints a value with JSON_PRESERVE_ORDER and these flags of json_dumps().  What unicode_is_visible() does not call so
 * becomes \uNNNN: JSON reads the same of it, and a terminal shows it.  False: no memory, or the value is NULL; errors
 * of out show in ferror(out).
 */
bool json_print(FILE *out, const json_t *value, size_t flags);

/* Where a map comes from: "header", "trailer", or "none" for a scan. */
json_t *json_index(enum blockz_index index);

/* An offset or a length; null for BLOCKZ_UNKNOWN. */
json_t *json_bytes(uint64_t value);

#endif
