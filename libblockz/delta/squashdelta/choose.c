/* SPDX-License-Identifier: BSD-3-Clause */
/* Which blocks of two images are expanded. */
#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "codec/prove.h"
#include "container/container.h"
#include "delta/squashdelta/squashdelta.h"
#include "io/access.h"
#include "parallel/pool.h"

/* The content of a block as it stands in the file.  What seems equal by chance stays compressed, which does no harm. */
struct key {
	uint64_t hash;
	uint32_t len, index;
};

struct side {
	const char *name; /* in messages */
	enum blockz_subject subject;
	const struct blockz_source *file;
	struct blocks blocks;
	struct key *keys;
	uint32_t *wanted; /* indexes of blocks, ascending */
	size_t wanted_count;
};

struct choice {
	struct codec_env env;
	const struct blockz_work *work;
	struct side old, new;
	struct codec_params params; /* what the header will say */
	/* For each wanted block of new: PROVE_NONE, or not. */
	uint8_t *proof, *best_proof;
	uint64_t *cost_ns;
};

/* ---- What the images are */

static enum blockz_status refuse(const struct side *side, struct blockz_fault *fault)
{
	const struct blocks *blocks = &side->blocks;
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
			 "%s is %s, and SquashDelta has only SquashFS with LZO (lzo1x_999) or LZ4; blockz-delta's own format has "
			 "all%s%s", side->name, blocks->container, blocks->note[0] != '\0' ? "; " : "", blocks->note);
}

/* Drops the candidates that the format cannot express, and blocks of another codec, which are stored. */
static void keep_expressible(struct blocks *blocks)
{
	size_t kept = 0;
	uint32_t compression;
	for (size_t i = 0; i < blocks->candidate_count; i++)
		if (squashdelta_compression(&blocks->candidates[i], &compression))
			blocks->candidates[kept++] = blocks->candidates[i];
	blocks->candidate_count = kept;
	kept = 0;
	for (size_t i = 0; i < blocks->count && blocks->candidate_count > 0; i++)
		if (blocks->items[i].codec == blocks->candidates[0].codec)
			blocks->items[kept++] = blocks->items[i];
	blocks->count = kept;
}

static enum blockz_status take_apart(const struct choice *choice, struct side *side, struct blockz_fault *fault)
{
	const struct blockz_source *file = side->file;
	if (file->size == BLOCKZ_UNKNOWN)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "%s is a stream", side->name);
	if (file->size > UINT32_MAX)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "%s has %" PRIu64 " bytes, and SquashDelta ends at 4 GiB; blockz-delta's own format does not",
				 side->name, file->size);
	enum blockz_status status = container_read(file, &choice->env, &side->blocks, fault);
	if (status != BLOCKZ_OK)
		return status;
	keep_expressible(&side->blocks);
	if (side->blocks.candidate_count == 0)
		return refuse(side, fault);
	side->wanted = calloc(side->blocks.count + 1, sizeof(*side->wanted));
	return side->wanted != NULL ? BLOCKZ_OK : fault_nomem(fault);
}

static enum blockz_status read_side(const struct choice *choice, const struct blockz_source *file, struct side *side,
				    struct blockz_fault *fault)
{
	side->file = file;
	return fault_about(fault, take_apart(choice, side, fault), side->subject);
}

/* ---- Blocks that only one of them has */

static enum blockz_status hash_blocks(struct side *side, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct buffer buffer = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	side->keys = calloc(side->blocks.count + 1, sizeof(*side->keys));
	if (side->keys == NULL)
		return fault_nomem(fault);
	for (size_t i = 0; i < side->blocks.count && status == BLOCKZ_OK; i++) {
		const struct block *block = &side->blocks.items[i];
		if (!buffer_reserve(&buffer, block->file_len))
			status = fault_nomem(fault);
		else
			status = fault_about(fault, read_file(side->file, buffer.bytes, block->file_len, block->file_off, fault),
					     side->subject);
		if (status == BLOCKZ_OK)
			side->keys[i] = (struct key){ XXH64(buffer.bytes, block->file_len, 0), block->file_len, (uint32_t)i };
		if (status == BLOCKZ_OK)
			status = pool_progress(work, 0, block->file_off, fault);
	}
	buffer_free(&buffer);
	return status;
}

static int compare_contents(const struct key *a, const struct key *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static int compare_keys(const void *a, const void *b)
{
	return compare_contents(a, b);
}

static int compare_indexes(const void *a, const void *b)
{
	const uint32_t *first = a, *second = b;
	return *first < *second ? -1 : *first > *second;
}

/* Those of which the other side, its keys sorted too, has none. */
static void want_unique(struct side *side, const struct side *other)
{
	size_t j = 0;
	for (size_t i = 0; i < side->blocks.count; i++) {
		while (j < other->blocks.count && compare_contents(&other->keys[j], &side->keys[i]) < 0)
			j++;
		if (j == other->blocks.count || compare_contents(&other->keys[j], &side->keys[i]) != 0)
			side->wanted[side->wanted_count++] = side->keys[i].index;
	}
	qsort(side->wanted, side->wanted_count, sizeof(*side->wanted), compare_indexes);
}

static enum blockz_status want_different(struct choice *choice, struct blockz_fault *fault)
{
	struct side *old = &choice->old, *new = &choice->new;
	enum blockz_status status = hash_blocks(old, choice->work, fault);
	if (status == BLOCKZ_OK)
		status = hash_blocks(new, choice->work, fault);
	if (status != BLOCKZ_OK)
		return status;
	qsort(old->keys, old->blocks.count, sizeof(*old->keys), compare_keys);
	qsort(new->keys, new->blocks.count, sizeof(*new->keys), compare_keys);
	want_unique(old, new);
	want_unique(new, old);
	return BLOCKZ_OK;
}

static void want_all(struct side *side)
{
	for (size_t i = 0; i < side->blocks.count; i++)
		side->wanted[side->wanted_count++] = (uint32_t)i;
}

/* ---- The one encoder */

/* Which of the wanted blocks one candidate makes, and their bytes. */
static enum blockz_status try_candidate(struct choice *choice, size_t candidate, uint64_t *bytes_ret,
					struct blockz_fault *fault)
{
	const struct side *new = &choice->new;
	struct blocks alone = new->blocks;
	alone.candidates += candidate;
	alone.candidate_count = 1;
	const struct proofs proofs = {
		new->file, &alone, &choice->env, new->wanted, new->wanted_count, choice->proof, choice->cost_ns, NULL,
	};
	enum blockz_status status = prove_blocks(&proofs, choice->work, fault);
	*bytes_ret = 0;
	for (size_t i = 0; i < new->wanted_count && status == BLOCKZ_OK; i++)
		if (choice->proof[i] != PROVE_NONE)
			*bytes_ret += new->blocks.items[new->wanted[i]].file_len;
	return status;
}

/* Swaps what was proved with what was known best. */
static void keep_proof(struct choice *choice)
{
	uint8_t *proof = choice->best_proof;
	choice->best_proof = choice->proof;
	choice->proof = proof;
}

static enum blockz_status try_candidates(struct choice *choice, struct blockz_fault *fault)
{
	const struct side *new = &choice->new;
	uint64_t all = 0, best = 0, bytes = 0;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < new->wanted_count; i++)
		all += new->blocks.items[new->wanted[i]].file_len;
	for (size_t i = 0; i < new->blocks.candidate_count && (i == 0 || best < all) && status == BLOCKZ_OK; i++) {
		status = try_candidate(choice, i, &bytes, fault);
		if (status == BLOCKZ_OK && (i == 0 || bytes > best)) {
			best = bytes;
			choice->params = new->blocks.candidates[i];
			keep_proof(choice);
		}
	}
	return status;
}

/* Keeps those wanted blocks that one candidate makes: the one that makes the most bytes. */
static enum blockz_status prove_wanted(struct choice *choice, struct blockz_fault *fault)
{
	struct side *new = &choice->new;
	size_t kept = 0;
	choice->proof = calloc(new->wanted_count + 1, sizeof(*choice->proof));
	choice->best_proof = calloc(new->wanted_count + 1, sizeof(*choice->best_proof));
	choice->cost_ns = calloc(new->wanted_count + 1, sizeof(*choice->cost_ns));
	if (choice->proof == NULL || choice->best_proof == NULL || choice->cost_ns == NULL)
		return fault_nomem(fault);
	enum blockz_status status = try_candidates(choice, fault);
	for (size_t i = 0; i < new->wanted_count && status == BLOCKZ_OK; i++)
		if (choice->best_proof[i] != PROVE_NONE)
			new->wanted[kept++] = new->wanted[i];
	new->wanted_count = kept;
	return status;
}

/* ---- The lists */

static enum blockz_status make_list(const struct choice *choice, const struct side *side,
				    struct blockz_squashdelta **list_ret, struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = squashdelta_new(&choice->params);
	enum blockz_status status = list != NULL ? BLOCKZ_OK : fault_nomem(fault);
	if (side->wanted_count > SQUASHDELTA_BLOCKS_MAX)
		status = fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "%zu blocks, at most %d are supported",
				   side->wanted_count, (int)SQUASHDELTA_BLOCKS_MAX);
	for (size_t i = 0; i < side->wanted_count && status == BLOCKZ_OK; i++) {
		const struct block *from = &side->blocks.items[side->wanted[i]];
		const struct squashdelta_block block = { (uint32_t)from->file_off, from->file_len, from->plain_len };
		status = squashdelta_append(list, &block, BLOCKZ_UNKNOWN, fault);
	}
	if (status == BLOCKZ_OK)
		*list_ret = list;
	else
		blockz_squashdelta_free(list);
	return status;
}

static void free_side(struct side *side)
{
	blocks_free(&side->blocks);
	free(side->keys);
	free(side->wanted);
}

static enum blockz_status refuse_pair(const struct choice *choice, struct blockz_fault *fault)
{
	fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
		  "OLD is %s, NEW is %s, and SquashDelta has one compressor for both; blockz-delta's own format has all",
		  choice->old.blocks.container, choice->new.blocks.container);
	return fault_about(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_ABOUT_OLD);
}

static enum blockz_status choose_pair(struct choice *choice, const struct blockz_source *old_image,
				      struct blockz_fault *fault)
{
	enum blockz_status status = read_side(choice, old_image, &choice->old, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (choice->old.blocks.candidates[0].codec != choice->new.blocks.candidates[0].codec)
		return refuse_pair(choice, fault);
	return want_different(choice, fault);
}

EXPORT enum blockz_status blockz_squashdelta_choose(const struct blockz_source *old_image,
						    const struct blockz_source *new_image,
						    const struct blockz_merge_options *options,
						    struct blockz_squashdelta **old_ret,
						    struct blockz_squashdelta **new_ret, struct blockz_fault *fault)
{
	struct choice choice = {
		.env = { options->lzo }, .work = &options->work,
		.old = { .name = "OLD", .subject = BLOCKZ_ABOUT_OLD }, .new = { .name = "NEW", .subject = BLOCKZ_ABOUT_NEW },
	};
	struct blockz_squashdelta *old_list = NULL, *new_list = NULL;
	if (old_image == NULL) {
		choice.new.name = "the image";
		choice.new.subject = BLOCKZ_ABOUT_IMAGE;
	}
	enum blockz_status status = read_side(&choice, new_image, &choice.new, fault);
	if (status == BLOCKZ_OK && old_image != NULL)
		status = choose_pair(&choice, old_image, fault);
	else if (status == BLOCKZ_OK)
		want_all(&choice.new);
	if (status == BLOCKZ_OK)
		status = prove_wanted(&choice, fault);
	if (status == BLOCKZ_OK)
		status = make_list(&choice, &choice.new, &new_list, fault);
	if (status == BLOCKZ_OK && old_image != NULL)
		status = make_list(&choice, &choice.old, &old_list, fault);
	if (status == BLOCKZ_OK) {
		*new_ret = new_list;
		if (old_image != NULL)
			*old_ret = old_list;
	} else {
		blockz_squashdelta_free(new_list);
	}
	free(choice.proof);
	free(choice.best_proof);
	free(choice.cost_ns);
	free_side(&choice.old);
	free_side(&choice.new);
	return status;
}
