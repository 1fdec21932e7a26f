/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls through the tables of operations, with errors put into words. */
#ifndef IO_ACCESS_H
#define IO_ACCESS_H

#include "blockz.h"

/* Reads exactly len bytes of a compressed file; fewer is BLOCKZ_DAMAGED, "file ends". */
enum blockz_status read_file(const struct blockz_source *file, void *buf, size_t len, uint64_t off,
			     struct blockz_fault *fault);

/* Reads exactly len bytes of an image or an edit's data, which the text names by its subject; fewer is BLOCKZ_FAILED. */
enum blockz_status read_data(const struct blockz_source *data, void *buf, size_t len, uint64_t off,
			     enum blockz_subject subject, struct blockz_fault *fault);

/*
 * Finds the first extent at or after off, which lies in the source, that may hold something else than zeros:
 * [*start_ret, *end_ret), never empty; where there is none, both are the size.  All may be data where a source does not know
 * its holes.  Returns 0 or an errno value.
 */
int find_data(const struct blockz_source *source, uint64_t off, uint64_t *start_ret, uint64_t *end_ret);

/* What texts call an image, or an edit's data: "OLD". */
const char *subject_name(enum blockz_subject subject);

/* Makes a store's writes durable; never called again after it failed. */
enum blockz_status sync_store(const struct blockz_store *store, struct blockz_fault *fault);

/* Appends to a sink, which is the subject of what fails. */
enum blockz_status write_out(const struct blockz_sink *sink, const void *buf, size_t len, struct blockz_fault *fault);

/* BLOCKZ_FAILED with the error that a sink returned. */
enum blockz_status write_failed(int error, struct blockz_fault *fault);

/* Appends zeros to a sink, by its own operation if it has one. */
enum blockz_status write_zeros(const struct blockz_sink *sink, uint64_t len, struct blockz_fault *fault);

#endif
