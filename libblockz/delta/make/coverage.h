/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of a block's content there is in OLD, roughly and quickly: samples of 16 bytes are looked at, those whose hash
 * begins with six zero bits, whatever their place; OLD's are kept in a bit map.  Knows texts alone.
 */
#ifndef DELTA_MAKE_COVERAGE_H
#define DELTA_MAKE_COVERAGE_H

#include <stddef.h>
#include <stdint.h>

struct coverage;

/* Bytes that it takes for texts of about this length in all. */
uint64_t coverage_memory(uint64_t text_len);

/* For texts of about this length in all.  NULL: no memory. */
struct coverage *coverage_new(uint64_t text_len);
void coverage_free(struct coverage *coverage);

/* Any thread may call these at any time. */
void coverage_add(struct coverage *coverage, const uint8_t *text, size_t len);

/* The share of the samples of a text that were added: 0 to 1; 1 where it has none. */
double coverage_of(const struct coverage *coverage, const uint8_t *text, size_t len);

#endif
