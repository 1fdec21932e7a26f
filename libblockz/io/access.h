/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls through the tables of operations, with errors put into words. */
#ifndef IO_ACCESS_H
#define IO_ACCESS_H

#include "blockz.h"

/* Reads exactly len bytes of a compressed file; fewer is BLOCKZ_DAMAGED, "file ends". */
enum blockz_status read_file(const struct blockz_source *file, void *buf, size_t len, uint64_t off,
			     struct blockz_fault *fault);

/* Reads exactly len bytes of an image or an edit's data; `what` names it in the text; fewer is BLOCKZ_FAILED. */
enum blockz_status read_data(const struct blockz_source *data, void *buf, size_t len, uint64_t off, const char *what,
			     struct blockz_fault *fault);

/* Makes a store's writes durable; never called again after it failed. */
enum blockz_status sync_store(const struct blockz_store *store, struct blockz_fault *fault);

/* Appends to a sink. */
enum blockz_status write_out(const struct blockz_sink *sink, const void *buf, size_t len, struct blockz_fault *fault);

/* Appends zeros to a sink, by its own operation if it has one. */
enum blockz_status write_zeros(const struct blockz_sink *sink, uint64_t len, struct blockz_fault *fault);

#endif
