/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads count with atomics: whoever would go beyond the limit is refused before memory is taken. */
#include "pagestore/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"

static void raise_peak(struct memory *memory, uint64_t used)
{
	uint64_t peak = atomic_load_explicit(&memory->peak, memory_order_relaxed);
	while (peak < used && !atomic_compare_exchange_weak_explicit(&memory->peak, &peak, used, memory_order_relaxed,
								     memory_order_relaxed))
		;
}

bool memory_count(struct memory *memory, uint64_t len)
{
	uint64_t max = memory->max == 0 ? UINT64_MAX : memory->max;
	uint64_t used = atomic_load_explicit(&memory->used, memory_order_relaxed);
	do {
		if (used > max || len > max - used) {
			errno = EDQUOT;
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&memory->used, &used, used + len, memory_order_relaxed,
							memory_order_relaxed));
	raise_peak(memory, used + len);
	return true;
}

void memory_uncount(struct memory *memory, uint64_t len)
{
	atomic_fetch_sub_explicit(&memory->used, len, memory_order_relaxed);
}

void *memory_new(struct memory *memory, size_t len)
{
	if (!memory_count(memory, len))
		return NULL;
	void *bytes = calloc(1, len == 0 ? 1 : len);
	if (bytes == NULL)
		memory_uncount(memory, len);
	return bytes;
}

void memory_free(struct memory *memory, void *bytes, size_t len)
{
	if (bytes == NULL)
		return;
	free(bytes);
	memory_uncount(memory, len);
}

/* ---- Mappings ---- */

/* Not in huge pages: of these more would be resident than was touched. */
void *memory_map(uint64_t len)
{
	if (len > SIZE_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	void *bytes = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return NULL;
	madvise(bytes, (size_t)len, MADV_NOHUGEPAGE); /* a kernel without huge pages says EINVAL */
	return bytes;
}

void memory_unmap(void *bytes, uint64_t len)
{
	if (bytes != NULL)
		munmap(bytes, (size_t)len);
}

void memory_drop(void *bytes, uint64_t len)
{
	madvise(bytes, (size_t)len, MADV_DONTNEED);
}

size_t memory_os_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- zstd ---- */

/* zstd does not say how long what it frees is: that stands before it, and keeps it as aligned as malloc() has it. */
union zstd_head {
	size_t len;
	max_align_t align;
};

static void *zstd_alloc(void *opaque, size_t len)
{
	if (len > SIZE_MAX - sizeof(union zstd_head)) {
		errno = ENOMEM;
		return NULL;
	}
	len += sizeof(union zstd_head);
	if (!memory_count(opaque, len))
		return NULL;
	union zstd_head *head = malloc(len); /* zstd needs no zeros, and need not touch all of it */
	if (head == NULL) {
		memory_uncount(opaque, len);
		return NULL;
	}
	head->len = len;
	return head + 1;
}

static void zstd_free(void *opaque, void *bytes)
{
	if (bytes == NULL)
		return;
	union zstd_head *head = (union zstd_head *)bytes - 1;
	memory_free(opaque, head, head->len);
}

ZSTD_customMem memory_zstd(struct memory *memory)
{
	return (ZSTD_customMem){ zstd_alloc, zstd_free, memory };
}

enum blockz_status memory_fault(const struct memory *memory, uint64_t len, struct blockz_fault *fault)
{
	uint64_t max = memory->max;
	uint64_t used = atomic_load_explicit(&memory->used, memory_order_relaxed);
	if (max != 0 && (errno == EDQUOT || len > max - min(used, max)))
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
				 "the limit of %" PRIu64 " byte%s of memory does not leave room", max, plural(max));
	return fault_nomem(fault);
}
