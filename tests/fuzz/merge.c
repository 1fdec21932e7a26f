/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a delta, and any as OLD: where it is applied, NEW is what the delta promises, and on two threads it is the
 * same.  The input is a delta, OLD, and how long OLD is.
 */
#include <openssl/evp.h>
#include <string.h>

#include "blockz_delta.h"
#include "fuzz.h"
#include "reseal_delta.h"

enum { TAIL_LEN = 4, NEW_MAX = 8 << 20, MUTATED_MAX = 1 << 16 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* Where OLD begins. */
static size_t split(const uint8_t *data, size_t size)
{
	return size - TAIL_LEN - load_le32(data + size - TAIL_LEN) % (size - TAIL_LEN + 1);
}

static void reseal(uint8_t *data, size_t delta_len, size_t old_len)
{
	if (delta_len < HEAD_FIXED_LEN)
		return;
	memcpy(data, DELTA_MAGIC, DELTA_MAGIC_LEN);
	store_le16(data + HEAD_VERSION_OFF, DELTA_VERSION);
	uint64_t size = load_le64(data + HEAD_OLD_SIZE_OFF) % (old_len + 1);
	store_le64(data + HEAD_OLD_SIZE_OFF, size);
	assert(EVP_Digest(data + delta_len, (size_t)size, data + HEAD_OLD_SHA256_OFF, NULL, EVP_sha256(), NULL) == 1);
	reseal_delta(data, delta_len);
}

static enum blockz_status merge(const struct blockz_source *old, const struct blockz_source *delta, struct bytes *new,
				unsigned threads, struct blockz_fault *fault)
{
	struct blockz_sink sink = bytes_sink(new);
	const struct blockz_merge_options options = { .work = { .threads = threads } };
	enum blockz_status status = blockz_merge(old, delta, &sink, &options, fault);
	check_fault(status, fault);
	return status;
}

static void check_new(const struct blockz_delta_info *info, const struct bytes *new)
{
	uint8_t digest[32];
	assert(new->len == info->new_size);
	assert(EVP_Digest(new->data, new->len, digest, NULL, EVP_sha256(), NULL) == 1);
	assert(memcmp(digest, info->new_sha256, sizeof(digest)) == 0);
}

/* The same delta for what came out. */
static void merge_again(const struct blockz_source *old, struct blockz_memory delta, const struct bytes *new)
{
	struct bytes copy = { 0 }, again = { 0 };
	struct blockz_fault fault = { 0 };
	bytes_append(&copy, delta.bytes, delta.len);
	assert(EVP_Digest(new->data, new->len, copy.data + HEAD_NEW_SHA256_OFF, NULL, EVP_sha256(), NULL) == 1);
	reseal_delta(copy.data, copy.len);
	delta.bytes = copy.data;
	struct blockz_source source = blockz_source_memory(&delta);
	assert(merge(old, &source, &again, 2, &fault) == BLOCKZ_OK && bytes_equal(&again, new));
	free(copy.data);
	free(again.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < TAIL_LEN)
		return 0;
	size_t at = split(data, size);
	struct blockz_memory delta_memory = { data, at }, old_memory = { data + at, size - TAIL_LEN - at };
	struct blockz_source delta = blockz_source_memory(&delta_memory), old = blockz_source_memory(&old_memory);
	struct blockz_delta_info info;
	struct blockz_delta_summary summary;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_delta_info(&delta, &info, &fault);
	check_fault(status, &fault);
	if (status != BLOCKZ_OK || info.new_size > NEW_MAX)
		return 0;
	fault = (struct blockz_fault){ 0 };
	enum blockz_status read = blockz_delta_summary(&delta, &summary, &fault);
	check_fault(read, &fault);
	struct bytes new = { 0 };
	status = merge(&old, &delta, &new, 1, &fault);
	assert(new.len <= info.new_size);
	assert(status != BLOCKZ_OK || read == BLOCKZ_OK);
	if (status == BLOCKZ_OK)
		check_new(&info, &new);
	if (status == BLOCKZ_OK || strstr(fault.text, "NEW did not come out right") != NULL)
		merge_again(&old, delta_memory, &new);
	free(new.data);
	return 0;
}

/*
 * Changes, and then makes right what is not found by chance: magic, checks, and the digest of OLD.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, max_size < MUTATED_MAX ? max_size : MUTATED_MAX);
	if (size < TAIL_LEN || seed % 16 == 0)
		return size;
	size_t at = split(data, size);
	reseal(data, at, size - TAIL_LEN - at);
	return size;
}
