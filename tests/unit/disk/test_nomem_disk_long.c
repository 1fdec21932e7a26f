/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation fails while a disk of a long piece is opened, which may mean a copy of it, and read. */
#include <sched.h>
#include <string.h>

#include "blockz_disk.h"
#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "growing_store.h"
#include "images.h"
#include "short_memory.h"

enum { LEN = 3 * MIB + 1000, CACHE = MIB };

static struct bytes image;
static struct plain_store file;
static struct growing_store growing;
static struct blockz_store spool;
static uint8_t found[LEN];

static void set_up(int format)
{
	image = image_new(IMAGE_TEXT, LEN);
	file.bytes = format == 0 ? zlib_pack(image, 6, Z_DEFAULT_STRATEGY) :
		     format == 1 ? xz_easy(image, 0, LZMA_CHECK_CRC64) : zst_compress(image, true, NULL, 0);
}

static enum blockz_status give_spool(void *ctx, uint64_t image_bytes, const struct blockz_store **store_ret,
				     struct blockz_fault *fault)
{
	(void)ctx, (void)image_bytes, (void)fault;
	spool = growing_store(&growing);
	*store_ret = &spool;
	return BLOCKZ_OK;
}

static void start_anew(void)
{
	growing_store_free(&growing);
	memset(found, 0, sizeof(found));
}

static enum blockz_status run(struct blockz_fault *fault)
{
	const struct blockz_disk_options options = { .cache = CACHE, .spool = give_spool };
	const struct blockz_store store = plain_store(&file);
	struct blockz_disk *disk = NULL;
	enum blockz_status status = blockz_disk_open(&store, &options, &disk, fault);
	if (status == BLOCKZ_OK)
		status = blockz_disk_peek(disk, found + LEN / 2, LEN - LEN / 2, LEN / 2, fault);
	if (status == BLOCKZ_OK)
		status = blockz_disk_peek(disk, found, LEN / 2, 0, fault);
	blockz_disk_close(disk, NULL);
	return status;
}

static bool is_right(void)
{
	return memcmp(found, image.data, LEN) == 0;
}

START_TEST(each_allocation_fails)
{
	static const struct operation operation = {
		.name = "disk of a long piece", .prepare = start_anew, .run = run, .is_right = is_right, .may_succeed = true,
	};
	set_up(_i / 2);
	fail_allocations(&operation, format_of(_i / 2)->name, _i % 2 != 0);
	growing_store_free(&growing);
}
END_TEST

int main(void)
{
	/* As many threads pack a copy as there are CPUs. */
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		return 1;
	TCase *c = case_new("nomem_disk_long");
	tcase_add_loop_test(c, each_allocation_fails, 0, 6);
	return case_run("nomem_disk_long", c);
}
