/* SPDX-License-Identifier: BSD-3-Clause */
/* A sample knows its old and its new bytes, so that what a crash leaves can be told to be one, the other or neither. */
#include "transactions.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "random.h"

/* Random old bytes; the new ones differ from them in every byte that is written. */
static void fill(struct sample *sample, size_t len)
{
	sample->len = len;
	sample->old = malloc(len);
	sample->new = malloc(len);
	ck_assert(sample->old != NULL && sample->new != NULL);
	rnd_fill(sample->old, len);
	memcpy(sample->new, sample->old, len);
}

static void add_write(struct sample *sample, size_t off, size_t len)
{
	ck_assert_uint_lt(sample->count, SAMPLE_WRITES_MAX);
	ck_assert(off + len <= sample->len);
	sample->writes[sample->count++] = (struct transaction_write){ off, len };
	for (size_t i = off; i < off + len; i++)
		sample->new[i] ^= (uint8_t)(1 + rnd_below(255));
}

void sample_init(struct sample *sample)
{
	size_t len = 150123;
	*sample = (struct sample){ 0 };
	fill(sample, len);
	add_write(sample, 3, 1);
	add_write(sample, 510, 4);
	add_write(sample, 1023, 1);
	add_write(sample, 1024, 512);
	add_write(sample, 70000, 3000);
	add_write(sample, 140000, 4);
	add_write(sample, len - 3, 3);
}

void sample_init_random(struct sample *sample, size_t len)
{
	*sample = (struct sample){ 0 };
	fill(sample, len);
	size_t off = 0;
	while (sample->count < SAMPLE_WRITES_MAX) {
		off += (size_t)(rnd_below(4) == 0 ? 0 : rnd_below(rnd_below(2) == 0 ? 40 : 2000));
		size_t write_len = (size_t)(1 + rnd_below(rnd_below(2) == 0 ? 8 : 2000));
		if (off >= len || write_len > len - off)
			break;
		add_write(sample, off, write_len);
		off += write_len;
	}
}

void sample_init_large(struct sample *sample)
{
	*sample = (struct sample){ 0 };
	fill(sample, 3 << 20);
	for (size_t off = 1000; sample->count < 20; off += TRANSACTION_WRITE_MAX)
		add_write(sample, off, TRANSACTION_WRITE_MAX);
}

void sample_free(struct sample *sample)
{
	free(sample->old);
	free(sample->new);
}

static struct transaction_write at(void *ctx, uint64_t index)
{
	const struct sample *sample = ctx;
	return sample->writes[index];
}

static enum blockz_status fetch(void *ctx, uint64_t index, void *buf, struct blockz_fault *fault)
{
	struct sample *sample = ctx;
	if (++sample->fetches == sample->fail_fetch_at)
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "new bytes are gone");
	memcpy(buf, sample->new + sample->writes[index].file_off, (size_t)sample->writes[index].length);
	return BLOCKZ_OK;
}

struct transaction sample_transaction(struct sample *sample)
{
	return (struct transaction){ sample, sample->count, sample->unchecked, at, fetch };
}

enum blockz_status sample_run(struct sample *sample, struct memory_store *store, struct blockz_fault *fault)
{
	struct transaction transaction = sample_transaction(sample);
	struct blockz_store table = memory_store(store);
	return transaction_run(&transaction, &table, fault);
}

void sample_interrupt(struct sample *sample, struct memory_store *store, size_t writes)
{
	memory_store_reset(store, sample->old, sample->len);
	ck_assert_int_eq(sample_run(sample, store, NULL), BLOCKZ_OK);
	size_t first = 0;
	while (store->steps[first].op != STORE_WRITE)
		first++;
	memory_store_reset(store, sample->old, sample->len);
	store->cut_at = first + writes;
	ck_assert_int_eq(sample_run(sample, store, NULL), BLOCKZ_FAILED);
	memory_store_rewind(store);
	ck_assert(memory_store_has_journal(store));
}

size_t sample_sectors(const struct sample *sample)
{
	size_t count = 0;
	for (size_t sector = 0; sector < sample->len; sector += STORE_SECTOR) {
		size_t end = sample->len - sector < STORE_SECTOR ? sample->len : sector + STORE_SECTOR;
		if (memcmp(sample->old + sector, sample->new + sector, end - sector) != 0)
			count++;
	}
	return count;
}

bool sample_is_old(const struct sample *sample, const struct memory_store *store)
{
	return store->file.size == sample->len && memcmp(store->file.seen, sample->old, sample->len) == 0;
}

bool sample_is_new(const struct sample *sample, const struct memory_store *store)
{
	return store->file.size == sample->len && memcmp(store->file.seen, sample->new, sample->len) == 0;
}
