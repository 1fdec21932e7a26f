/* SPDX-License-Identifier: BSD-3-Clause */
/* The OS gives memory for pages as they are touched; it is counted as they are taken. */
#include "pagestore/flat_mapping.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/fault.h"

struct flat_mapping {
	struct memory *memory;
	uint8_t *bytes;
	uint64_t mapped;         /* whole pages, and whole OS pages */
	_Atomic uint64_t counted;
	uint32_t page_size;
	bool locked; /* all of it is counted, and stays resident */
};

static uint64_t round_up(uint64_t n, uint64_t multiple)
{
	return (n + multiple - 1) / multiple * multiple;
}

enum blockz_status flat_mapping_new(struct memory *memory, uint64_t size, uint32_t page_size,
				    struct flat_mapping **mapping_ret, struct blockz_fault *fault)
{
	struct flat_mapping *mapping = memory_new(memory, sizeof(*mapping));
	if (mapping == NULL)
		return memory_fault(memory, sizeof(*mapping), fault);
	mapping->memory = memory;
	mapping->page_size = page_size;
	/* At most 2^63 - 1, so far from an overflow. */
	mapping->mapped = round_up(round_up(size, page_size), memory_os_page());
	if (mapping->mapped > 0) {
		mapping->bytes = memory_map(mapping->mapped);
		if (mapping->bytes == NULL) {
			enum blockz_status status = fault_errno(fault, errno, BLOCKZ_UNKNOWN, "mapping the image");
			flat_mapping_free(mapping);
			return status;
		}
	}
	*mapping_ret = mapping;
	return BLOCKZ_OK;
}

void flat_mapping_free(struct flat_mapping *mapping)
{
	if (mapping == NULL)
		return;
	memory_unmap(mapping->bytes, mapping->mapped);
	memory_uncount(mapping->memory, mapping->counted);
	memory_free(mapping->memory, mapping, sizeof(*mapping));
}

enum blockz_status flat_mapping_lock(struct flat_mapping *mapping, struct blockz_fault *fault)
{
	uint64_t more = mapping->mapped - mapping->counted;
	if (mapping->locked || mapping->mapped == 0)
		return BLOCKZ_OK;
	if (!memory_count(mapping->memory, more))
		return memory_fault(mapping->memory, more, fault);
	if (mlock(mapping->bytes, (size_t)mapping->mapped) != 0) {
		int error = errno;
		memory_uncount(mapping->memory, more);
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "locking the image in memory");
	}
	mapping->counted = mapping->mapped;
	mapping->locked = true;
	return BLOCKZ_OK;
}

enum blockz_status flat_mapping_take(struct flat_mapping *mapping, uint64_t page, struct blockz_fault *fault)
{
	(void)page;
	if (mapping->locked)
		return BLOCKZ_OK;
	if (!memory_count(mapping->memory, mapping->page_size))
		return memory_fault(mapping->memory, mapping->page_size, fault);
	mapping->counted += mapping->page_size;
	return BLOCKZ_OK;
}

/* Where an OS page is larger than a page, the memory stays resident all the same. */
void flat_mapping_give(struct flat_mapping *mapping, uint64_t page)
{
	if (mapping->locked)
		return;
	if (mapping->page_size % memory_os_page() == 0)
		memory_drop(flat_mapping_page(mapping, page), mapping->page_size);
	mapping->counted -= mapping->page_size;
	memory_uncount(mapping->memory, mapping->page_size);
}

uint8_t *flat_mapping_page(const struct flat_mapping *mapping, uint64_t page)
{
	return mapping->bytes + page * mapping->page_size;
}
