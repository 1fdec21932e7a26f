/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions for tests: old bytes, the writes, and what has to come out. */
#ifndef TRANSACTIONS_H
#define TRANSACTIONS_H

#include "journal/recovery.h"
#include "journal/transaction.h"
#include "stores.h"

enum { SAMPLE_WRITES_MAX = 64 };

struct sample {
	uint8_t *old, *new;
	size_t len;
	struct transaction_write writes[SAMPLE_WRITES_MAX];
	size_t count;
	bool unchecked;
	size_t fetches, fail_fetch_at; /* how often new bytes were asked for, and when that fails; 0: never */
};

/* Writes of every alignment: several in a sector, across sectors, at both ends of the file, in the middle. */
void sample_init(struct sample *sample);

/* Up to SAMPLE_WRITES_MAX random writes into a file of len bytes. */
void sample_init_random(struct sample *sample, size_t len);

/* One run of changed bytes longer than any buffer. */
void sample_init_large(struct sample *sample);

void sample_free(struct sample *sample);

struct transaction sample_transaction(struct sample *sample);

/* Runs it on the store. */
enum blockz_status sample_run(struct sample *sample, struct memory_store *store, struct blockz_fault *fault);

/*
 * Resets the store and runs until `writes` of the writes are done; then the program is killed.  The journal is there,
 * and what was written is seen but not durable.
 */
void sample_interrupt(struct sample *sample, struct memory_store *store, size_t writes);

/* How many sectors the writes touch. */
size_t sample_sectors(const struct sample *sample);

bool sample_is_old(const struct sample *sample, const struct memory_store *store);
bool sample_is_new(const struct sample *sample, const struct memory_store *store);

#endif
