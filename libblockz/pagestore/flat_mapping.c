/* SPDX-License-Identifier: BSD-3-Clause */
#include "pagestore/flat_mapping.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/fault.h"

struct direct {
	struct memory *memory;
	uint8_t *bytes;
	uint64_t mapped;         /* whole pages, and whole OS pages */
	_Atomic uint64_t counted;
	uint32_t page_size;
	bool locked; /* all of it is counted, and stays resident */
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

enum blockz_status direct_new(struct memory *memory, uint64_t size, uint32_t page_size, struct direct **direct_ret,
			      struct blockz_fault *fault)
{
	struct direct *direct = memory_new(memory, sizeof(*direct));
	if (direct == NULL)
		return memory_fault(memory, sizeof(*direct), fault);
	direct->memory = memory;
	direct->page_size = page_size;
	/* At most 2^63 - 1, so far from an overflow. */
	direct->mapped = round_up(round_up(size, page_size), memory_os_page());
	if (direct->mapped > 0) {
		direct->bytes = memory_map(direct->mapped);
		if (direct->bytes == NULL) {
			enum blockz_status status = fault_errno(fault, errno, BLOCKZ_UNKNOWN, "mapping the image");
			direct_free(direct);
			return status;
		}
	}
	*direct_ret = direct;
	return BLOCKZ_OK;
}

void direct_free(struct direct *direct)
{
	if (direct == NULL)
		return;
	memory_unmap(direct->bytes, direct->mapped);
	memory_uncount(direct->memory, direct->counted);
	memory_free(direct->memory, direct, sizeof(*direct));
}

enum blockz_status direct_lock(struct direct *direct, struct blockz_fault *fault)
{
	uint64_t more = direct->mapped - direct->counted;
	if (direct->locked || direct->mapped == 0)
		return BLOCKZ_OK;
	if (!memory_count(direct->memory, more))
		return memory_fault(direct->memory, more, fault);
	if (mlock(direct->bytes, (size_t)direct->mapped) != 0) {
		int error = errno;
		memory_uncount(direct->memory, more);
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "locking the image in memory");
	}
	direct->counted = direct->mapped;
	direct->locked = true;
	return BLOCKZ_OK;
}

enum blockz_status direct_take(struct direct *direct, uint64_t page, struct blockz_fault *fault)
{
	(void)page;
	if (direct->locked)
		return BLOCKZ_OK;
	if (!memory_count(direct->memory, direct->page_size))
		return memory_fault(direct->memory, direct->page_size, fault);
	direct->counted += direct->page_size;
	return BLOCKZ_OK;
}

/* Where an OS page is larger than a page, the memory stays resident all the same. */
void direct_give(struct direct *direct, uint64_t page)
{
	if (direct->locked)
		return;
	if (direct->page_size % memory_os_page() == 0)
		memory_drop(direct_page(direct, page), direct->page_size);
	direct->counted -= direct->page_size;
	memory_uncount(direct->memory, direct->page_size);
}

uint8_t *direct_page(const struct direct *direct, uint64_t page)
{
	return direct->bytes + page * direct->page_size;
}
