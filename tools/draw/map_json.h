/* SPDX-License-Identifier: BSD-3-Clause */
/* A map as one JSON object. */
#ifndef DRAW_MAP_JSON_H
#define DRAW_MAP_JSON_H

#include <stdio.h>

#include "draw/map_rows.h"

/* Prints it; errors of out show in ferror(out).  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status map_json_print(FILE *out, const struct map_view *view, struct blockz_fault *fault);

#endif
