/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of bytes and ranges of them, as people write and read them. */
#ifndef CLI_SIZE_H
#define CLI_SIZE_H

#include "blockz.h"

/*
 * Parses a number of bytes: decimal or 0x hexadecimal, then nothing or one of K M G T (powers of 1024; KiB and the
 * like are the same) or s (sectors of 512 bytes).  At most 2^63-1.  Errors: BLOCKZ_USAGE.
 */
enum blockz_status size_parse(const char *text, uint64_t *value_ret, struct blockz_fault *fault);

/* Parses START-END (END is exclusive) or START+LENGTH.  Errors: BLOCKZ_USAGE, also for a range of no bytes. */
enum blockz_status size_parse_range(const char *text, struct blockz_range *range_ret, struct blockz_fault *fault);

/* What sectors of a disk can have. */
enum { SIZE_SECTOR_SMALL = 512, SIZE_SECTOR_LARGE = 4096 };

/* Parses "512" or "4096".  Errors: BLOCKZ_USAGE. */
enum blockz_status size_parse_sector(const char *text, unsigned *size_ret, struct blockz_fault *fault);

/* Writes "512 B", "1.5 MiB", "3 GiB" and the like: four digits at most. */
void size_human(char *buf, size_t len, uint64_t bytes);

/* What stands behind a noun that is counted: "piece%s". */
const char *plural(uint64_t count);

#endif
