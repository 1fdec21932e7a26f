/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that lives until the test ends, sources, sinks and stores over it, and how tests are run that use it.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <check.h>

#include "blockz.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* True where a sanitizer multiplies time and memory. */
extern const bool sanitized;

/* True there, and where FEW_ROUNDS is defined: rounds are fewer, and on shorter images, for another build has them all. */
extern const bool few_rounds;

/* ---- Running ---- */

TCase *case_new(const char *name);
int case_run(const char *name, TCase *tcase); /* the exit status */

/* A test that runs once for each format, which it finds by format_of(_i). */
void case_add_formats(TCase *tcase, const TTest *test);
const struct blockz_format *format_of(int i);
const struct blockz_format *format_named(const char *name);

/* ---- Memory ---- */

struct bytes {
	uint8_t *data;
	size_t len;
};

void *keep(size_t len); /* zeros; in an unchecked fixture: for all tests */

/* What is kept from one call to the other can go earlier: a test that runs thousands of cases would want fresh memory for each. */
const struct kept *kept_so_far(void);
void forget_since(const struct kept *mark);

struct bytes bytes_new(size_t len);
struct bytes bytes_copy(struct bytes bytes);
struct bytes bytes_flipped(struct bytes bytes, uint64_t bit); /* a copy with one bit flipped */
struct bytes bytes_join(struct bytes a, struct bytes b);
void bytes_append(struct bytes *bytes, size_t *room, const void *more, size_t len); /* which gives room as it grows */
struct blockz_source bytes_source(struct bytes bytes);

/* True, and *off_ret set, if they are not equal. */
bool bytes_differ(struct bytes a, struct bytes b, size_t *off_ret);
bool bytes_are_zero(const uint8_t *data, size_t len);
void assert_bytes(struct bytes found, struct bytes expected);

/* ---- Sources, sinks and stores ---- */

/* A source whose n-th read fails with EIO; counted from 1, by any thread; 0: none. */
struct flaky_source {
	struct bytes bytes;
	unsigned reads, fail_at;
};

struct blockz_source flaky_source(struct flaky_source *self);

struct growing_sink {
	struct bytes bytes;
	size_t room;
	unsigned calls, fail_at; /* the call that fails with EIO, counted from 1; 0: none */
};

struct blockz_sink growing_sink(struct growing_sink *self);             /* appends only */
struct blockz_sink growing_sink_rewritable(struct growing_sink *self);

struct store_write {
	uint64_t off;
	size_t len;
};

struct plain_store {
	struct bytes bytes;
	struct store_write *log; /* each write */
	size_t log_count, log_room;
	unsigned syncs;
	unsigned fail_at; /* the write that fails */
};

/* A store without a journal. */
struct blockz_store plain_store(struct plain_store *self);

#endif
