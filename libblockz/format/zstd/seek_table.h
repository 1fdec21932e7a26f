/* SPDX-License-Identifier: BSD-3-Clause */
/* The entries of a seek table, read in order: a map is made by them, and they are made right when frames change. */
#ifndef FORMAT_ZSTD_SEEK_TABLE_H
#define FORMAT_ZSTD_SEEK_TABLE_H

#include "blockz.h"
#include "format/zstd/layout.h"

enum { ENTRIES_A_READ = 4096 };

struct seek_entry {
	uint64_t file_len, image_len;
	uint32_t checksum;
	uint64_t checksum_off; /* where the table has it */
};

/* A table, read in order. */
struct seek_table {
	const struct blockz_source *file;
	uint64_t off; /* of its skippable frame, behind all others */
	uint64_t count, next;
	bool checksums;
	size_t entry_len;
	uint8_t bytes[ENTRIES_A_READ * (SEEK_ENTRY_LEN + CHECKSUM_LEN)];
};

/*
 * Finds the table by its footer.  *found_ret: there is something that looks like one.
 * Errors: BLOCKZ_DAMAGED (it cannot be right), BLOCKZ_FAILED.
 */
enum blockz_status seek_table_open(struct seek_table *table, const struct blockz_source *file, bool *found_ret,
				   struct blockz_fault *fault);
/* The next entry; to be called count times.  Errors: BLOCKZ_FAILED. */
enum blockz_status seek_table_next(struct seek_table *table, struct seek_entry *entry_ret, struct blockz_fault *fault);
/* Passes over entries that are as the last one was, as far as they were read with it; returns how many. */
uint64_t seek_table_pass_alike(struct seek_table *table);

#endif
