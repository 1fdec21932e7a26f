/* SPDX-License-Identifier: BSD-3-Clause */
/* The packer reads an image in order, so each piece is decoded in one pass; what it has written is served like any other file. */
#include "disk/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"
#include "disk/image.h"
#include "io/access.h"

enum {
	SPOOL_LEVEL = 1,
	PIECES_WANTED = 1 << 19, /* at most, while pieces can be longer: half of what a map may have */
	DAMAGED_MAX = 64,
};

struct damaged {
	size_t piece;
	struct blockz_fault fault;
};

struct spool {
	const struct blockz_map *map; /* of the file whose pieces are copied */
	const struct blockz_store *store;
	uint64_t len; /* of the copy */
	int error;    /* of the store, while the copy was written; 0: none */
	struct blockz_source copy;
	struct disk_image image; /* in the copy */
	struct damaged *damaged; /* ascending */
	size_t damaged_count;
};

/* ---- Making it ---- */

/* What the packer takes for the image. */
struct making {
	const struct spool_task *task;
	struct spool *spool;
	struct blockz_fault fault; /* of what failed otherwise than by damage; status BLOCKZ_OK: nothing */
};

static bool is_before(const void *ctx, uint64_t i, uint64_t off)
{
	const struct spool_task *task = ctx;
	return map_piece_end(task->map, task->pieces[i]) <= off;
}

/* The first of the pieces that ends behind image offset off; task->count: none does. */
static size_t find_next(const struct spool_task *task, uint64_t off)
{
	return (size_t)bisect(task->count, is_before, task, off);
}

static enum blockz_status note_damaged(struct spool *spool, size_t piece, const struct blockz_fault *why)
{
	struct damaged *room = spool->damaged_count < DAMAGED_MAX
				       ? array_room(spool->damaged, spool->damaged_count, sizeof(*room)) : NULL;
	if (room == NULL)
		return why->status;
	spool->damaged = room;
	spool->damaged[spool->damaged_count++] = (struct damaged){ piece, *why };
	return BLOCKZ_OK;
}

static const struct damaged *find_damaged(const struct spool *spool, size_t piece)
{
	for (size_t i = 0; i < spool->damaged_count; i++)
		if (spool->damaged[i].piece == piece)
			return &spool->damaged[i];
	return NULL;
}

/* Reads bytes of one of the pieces.  Of a damaged one the rest is left as it is: nobody gets to see it. */
static enum blockz_status take_piece(struct making *making, size_t piece, uint64_t start, uint64_t end, uint8_t *out)
{
	if (find_damaged(making->spool, piece) != NULL)
		return BLOCKZ_OK;
	enum blockz_status status = long_reader_read(making->task->reader, piece, start, end, out, &making->fault);
	if (status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED || status == BLOCKZ_LIMIT)
		status = note_damaged(making->spool, piece, &making->fault);
	if (status == BLOCKZ_OK)
		making->fault.status = BLOCKZ_OK;
	return status;
}

static int read_pieces(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct making *making = ctx;
	const struct spool_task *task = making->task;
	uint64_t end = off + len;
	memset(buf, 0, len);
	for (size_t i = find_next(task, off); i < task->count && task->map->pieces[task->pieces[i]].start < end; i++) {
		uint64_t piece_start = task->map->pieces[task->pieces[i]].start;
		uint64_t start = piece_start > off ? piece_start : off;
		uint64_t part_end = min(end, map_piece_end(task->map, task->pieces[i]));
		if (take_piece(making, task->pieces[i], start, part_end, (uint8_t *)buf + (start - off)) != BLOCKZ_OK)
			return EIO;
	}
	*got_ret = len;
	return 0;
}

static int next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	const struct making *making = ctx;
	const struct spool_task *task = making->task;
	size_t i = find_next(task, off);
	*start_ret = *end_ret = task->map->image_size;
	if (i == task->count)
		return 0;
	uint64_t start = task->map->pieces[task->pieces[i]].start;
	*start_ret = start > off ? start : off;
	*end_ret = map_piece_end(task->map, task->pieces[i]);
	return 0;
}

static int append(void *ctx, const void *buf, size_t len)
{
	struct spool *spool = ctx;
	spool->error = spool->store->ops->write(spool->store->ctx, buf, len, spool->len);
	spool->len += len;
	return spool->error;
}

static uint64_t choose_piece_size(uint64_t image_size)
{
	uint64_t size = LONG_PART;
	while (image_size / size > PIECES_WANTED && size < PIECE_MEMORY_MAX)
		size *= 2;
	return size;
}

static enum blockz_status copy_pieces(struct making *making, struct blockz_fault *fault)
{
	static const struct blockz_source_ops source_ops = { .read = read_pieces, .next_data = next_data };
	static const struct blockz_sink_ops sink_ops = { .write = append };
	const struct blockz_source source = { &source_ops, making, making->task->map->image_size };
	const struct blockz_sink sink = { &sink_ops, making->spool };
	const struct blockz_pack_options options = {
		.format = BLOCKZ_SPOOL_FORMAT, .level = SPOOL_LEVEL, .piece_size = choose_piece_size(source.size),
	};
	struct blockz_pack_result result;
	enum blockz_status status = blockz_pack(&source, &sink, &options, &result, fault);
	if (status != BLOCKZ_OK && making->spool->error != 0)
		return fault_errno(fault, making->spool->error, BLOCKZ_UNKNOWN, "packed copy of its long pieces");
	if (making->fault.status == BLOCKZ_OK)
		return status;
	if (fault != NULL)
		*fault = making->fault;
	return making->fault.status;
}

/* ---- Reading it ---- */

static int read_copy(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct spool *spool = ctx;
	return spool->store->ops->read(spool->store->ctx, buf, len, off, got_ret);
}

static enum blockz_status open_copy(struct spool *spool, uint64_t cache, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_copy };
	uint64_t piece_size = choose_piece_size(spool->map->image_size);
	struct blockz_map *map = NULL;
	spool->copy = (struct blockz_source){ &ops, spool, spool->len };
	enum blockz_status status = blockz_map_read(&spool->copy, NULL, &map, fault);
	if (status != BLOCKZ_OK)
		return status;
	return disk_image_init(&spool->image, &spool->copy, map, cache > piece_size ? cache : piece_size, NULL, fault);
}

void spool_free(struct spool *spool)
{
	if (spool == NULL)
		return;
	disk_image_free(&spool->image);
	free(spool->damaged);
	free(spool);
}

enum blockz_status spool_new(const struct spool_task *task, struct spool **spool_ret, struct blockz_fault *fault)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	struct making making = { .task = task, .spool = spool };
	if (spool == NULL)
		return fault_nomem(fault);
	spool->map = task->map;
	spool->store = task->store;
	enum blockz_status status = copy_pieces(&making, fault);
	if (status == BLOCKZ_OK)
		status = open_copy(spool, task->cache, fault);
	if (status == BLOCKZ_OK)
		*spool_ret = spool;
	else
		spool_free(spool);
	return status;
}

enum blockz_status spool_read(struct spool *spool, size_t piece, uint64_t start, uint64_t end, uint8_t *out,
			      struct blockz_fault *fault)
{
	const struct damaged *damaged = find_damaged(spool, piece);
	if (damaged == NULL)
		return disk_image_read(&spool->image, out, (size_t)(end - start), start, fault);
	if (fault != NULL)
		*fault = damaged->fault;
	return damaged->fault.status;
}

enum blockz_status spool_extent(struct spool *spool, size_t piece, uint64_t start, uint64_t end, bool *zeros_ret,
				uint64_t *end_ret, struct blockz_fault *fault)
{
	if (find_damaged(spool, piece) == NULL)
		return disk_image_extent(&spool->image, start, end, zeros_ret, end_ret, fault);
	*zeros_ret = false;
	*end_ret = end;
	return BLOCKZ_OK;
}
