/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fastest level, by ISA-L where that is built in.
 *
 * ISA-L 2.30 takes the third byte's hash of a piece from a register in which its stream's address is left, so that what it
 * makes of one piece in a thousand depends on where that stream lies.  Here all of them lie where this hash is the same.
 */
#include "format/deflate/fast.h"

#if BLOCKZ_WITH_ISAL

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <sys/mman.h>

const bool fast_deflate_built_in = true;

struct fast_deflate {
	struct isal_zstream stream; /* first */
	uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

enum {
	SLOT_SHIFT = 16,     /* bits of an address that are not hashed */
	BUCKETS = 8192,      /* of the hash table of level 1 */
	BUCKET = 0,          /* that of all streams: any will do, but for ever */
	SLOTS_MAX = 1 << 20, /* that are looked at: each 8192nd is of the bucket, and nearly all are free */
};

/* As the instruction of SSE 4.2 does it: CRC-32C, without inversions. */
static unsigned bucket_of(uintptr_t slot)
{
	uint32_t crc = (uint32_t)slot;
	for (int i = 0; i < 32; i++)
		crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	return crc % BUCKETS;
}

/* Memory at that address; NULL with errno EEXIST: something is there. */
static void *map_at(void *address)
{
	void *mapped = mmap(address, sizeof(struct fast_deflate), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (mapped == address)
		return mapped;
	if (mapped == MAP_FAILED)
		return NULL;
	munmap(mapped, sizeof(struct fast_deflate)); /* a kernel before 4.17 */
	errno = EEXIST;
	return NULL;
}

/* Memory at the first free slot of the bucket, from this one down; NULL: there is none. */
static void *map_below(uintptr_t slot)
{
	for (int i = 0; i < SLOTS_MAX; i++) {
		if (bucket_of(--slot) != BUCKET)
			continue;
		void *mapped = map_at((void *)(slot << SLOT_SHIFT));
		if (mapped != NULL || errno != EEXIST)
			return mapped;
	}
	return NULL;
}

/* Near the place that the kernel would take. */
struct fast_deflate *fast_deflate_new(void)
{
	void *anywhere = mmap(NULL, sizeof(struct fast_deflate), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (anywhere == MAP_FAILED)
		return NULL;
	struct fast_deflate *fast = map_below((uintptr_t)anywhere >> SLOT_SHIFT);
	munmap(anywhere, sizeof(*fast));
	if (fast != NULL)
		isal_deflate_init(&fast->stream);
	return fast;
}

void fast_deflate_free(struct fast_deflate *fast)
{
	if (fast != NULL)
		munmap(fast, sizeof(*fast));
}

size_t fast_deflate_piece(struct fast_deflate *fast, const uint8_t *bytes, size_t len, uint8_t *out, size_t room)
{
	struct isal_zstream *stream = &fast->stream;
	isal_deflate_reset(stream);
	stream->level = 1;
	stream->level_buf = fast->level_buf;
	stream->level_buf_size = sizeof(fast->level_buf);
	stream->flush = FULL_FLUSH; /* an empty stored block at the end, and no end of the stream */
	stream->end_of_stream = 0;
	stream->next_in = (uint8_t *)(uintptr_t)bytes; /* only read; the type lacks const */
	stream->avail_in = (uint32_t)len;
	stream->next_out = out;
	stream->avail_out = (uint32_t)room;
	if (isal_deflate(stream) != COMP_OK || stream->avail_in != 0 || stream->avail_out == 0)
		return 0;
	return room - stream->avail_out;
}

#else

const bool fast_deflate_built_in = false;

struct fast_deflate *fast_deflate_new(void)
{
	return NULL;
}

void fast_deflate_free(struct fast_deflate *fast)
{
	(void)fast;
}

size_t fast_deflate_piece(struct fast_deflate *fast, const uint8_t *bytes, size_t len, uint8_t *out, size_t room)
{
	(void)fast, (void)bytes, (void)len, (void)out, (void)room;
	return 0;
}

#endif
