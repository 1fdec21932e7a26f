/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known without decoding comes first: equal blocks, and what the client can encode.  Then each block that is left is
 * decoded once to see how much of it OLD has, and encoded until it is known who made it.
 */
#include "delta/make/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "blockz_delta.h"
#include "delta/make/block_index.h"
#include "delta/make/coverage.h"
#include "delta/make/plain_text.h"
#include "delta/make/stages.h"
#include "delta/file/delta.h"

/*
 * Of the windows of a block, so many must be in OLD.  Below it the content is new, and its encoding about as small as
 * what the delta would need instead.
 */
static const double coverage_min = 1.0 / 16;

enum { NS_A_MS = 1000000 };

void selection_free(struct selection *selection)
{
	free(selection->blocks);
	free(selection->open);
	free(selection->old_wanted);
	free(selection->allowed);
	*selection = (struct selection){ 0 };
}

void selection_demote(struct selection *selection, size_t block)
{
	selection->blocks[block].fate = FATE_PACKED;
	selection->open[block] = false;
}

void selection_note(const struct selection *selection, const struct blocks *new,
		    const struct blockz_delta_options *options, char *note, size_t room)
{
	size_t unproved = 0, compressed = 0;
	for (size_t i = 0; i < new->count; i++) {
		unproved += selection->blocks[i].unproved;
		compressed += new->items[i].codec != CODEC_STORED;
	}
	if (unproved > 0)
		fault_append(note, room, "%s%s makes %zu of %zu blocks, which stay packed", note[0] != '\0' ? "; " : "",
			     options->restricted ? "no encoder of the client" : "no known encoder", unproved, compressed);
}

void selection_count(const struct selection *selection, const struct blocks *new, struct blockz_delta_result *result)
{
	uint64_t encode_ns = 0;
	for (size_t i = 0; i < new->count; i++) {
		const struct selected *selected = &selection->blocks[i];
		if (new->items[i].is_plain)
			continue;
		result->blocks++;
		result->blocks_equal += selected->fate == FATE_EQUAL;
		result->blocks_packed += selected->fate == FATE_PACKED;
		result->blocks_unproved += selected->unproved;
		if (selected->fate != FATE_OPEN)
			continue;
		result->blocks_encoded += selected->candidate != PROVE_NONE;
		result->blocks_stored += selected->candidate == PROVE_NONE;
		encode_ns += selected->encode_ns;
	}
	result->encode_ms = encode_ns / NS_A_MS;
}

/* Equal blocks; the others are open for now.  What OLD has beside them is where changed blocks come from. */
static enum blockz_status find_equal(struct selection *selection, const struct image *old, const struct image *new,
				     struct blockz_fault *fault)
{
	struct block_index *index = block_index_new(old);
	if (index == NULL)
		return fault_nomem(fault);
	memset(selection->old_wanted, true, old->blocks.count * sizeof(bool));
	for (size_t i = 0; i < new->blocks.count; i++) {
		uint32_t found = block_index_find(index, new, i);
		struct selected *selected = &selection->blocks[i];
		*selected = (struct selected){ .fate = found == UINT32_MAX ? FATE_OPEN : FATE_EQUAL,
					       .candidate = PROVE_NONE, .old_block = found };
		selection->open[i] = selected->fate == FATE_OPEN;
		if (found != UINT32_MAX)
			selection->old_wanted[found] = false;
	}
	block_index_free(index);
	return BLOCKZ_OK;
}

/* LZO is the one decoder that clients may lack; those that have it can encode, too. */
static bool client_has_lzo(const struct blockz_delta_options *options)
{
	for (size_t i = 0; i < options->encoder_count; i++)
		if (strncmp(options->encoders[i].name, "lzo ", 4) == 0)
			return true;
	return !options->portable && !options->restricted;
}

/* A delta lists so many blocks of OLD at most, and none that the client cannot decode. */
static void limit_wanted(struct selection *selection, const struct image *old,
			 const struct blockz_delta_options *options)
{
	bool has_lzo = client_has_lzo(options);
	size_t count = 0;
	for (size_t i = 0; i < old->blocks.count; i++) {
		if (count >= DELTA_OLD_BLOCKS_MAX || (old->blocks.items[i].codec == CODEC_LZO && !has_lzo))
			selection->old_wanted[i] = false;
		count += selection->old_wanted[i] && !old->blocks.items[i].is_plain;
	}
}

/* Of the encoders that the client has, the one of this name. */
static const struct blockz_encoder *client_encoder(const struct blockz_delta_options *options, const char *name)
{
	for (size_t i = 0; i < options->encoder_count; i++)
		if (strcmp(options->encoders[i].name, name) == 0)
			return &options->encoders[i];
	return NULL;
}

/* Fingerprints take time: only those are made that there is something to compare with. */
static enum blockz_status find_allowed(struct selection *selection, const struct blocks *blocks,
				       const struct codec_env *env, const struct blockz_delta_options *options,
				       struct blockz_fault *fault)
{
	for (size_t i = 0; i < blocks->candidate_count; i++) {
		selection->allowed[i] = !options->portable;
		if (options->portable || !options->restricted)
			continue;
		struct blockz_encoder encoder;
		codec_encoder_name(&blocks->candidates[i], encoder.name);
		const struct blockz_encoder *theirs = client_encoder(options, encoder.name);
		enum blockz_status status = BLOCKZ_UNSUPPORTED;
		if (theirs != NULL)
			status = codec_fingerprint(env, &blocks->candidates[i], encoder.fingerprint, fault);
		if (status == BLOCKZ_FAILED)
			return status;
		selection->allowed[i] = status == BLOCKZ_OK && memcmp(theirs->fingerprint, encoder.fingerprint,
								      sizeof(encoder.fingerprint)) == 0;
	}
	return BLOCKZ_OK;
}

/* Where nothing can be encoded, by the client or by anybody, only stored blocks stay open. */
static void keep_stored(struct selection *selection, const struct blocks *blocks, bool unproved)
{
	for (size_t i = 0; i < blocks->count; i++) {
		if (!selection->open[i] || blocks->items[i].codec == CODEC_STORED)
			continue;
		selection_demote(selection, i);
		selection->blocks[i].unproved = unproved;
	}
}

static bool is_any_allowed(const struct selection *selection, const struct blocks *blocks)
{
	size_t i = 0;
	while (i < blocks->candidate_count && !selection->allowed[i])
		i++;
	return i < blocks->candidate_count;
}

struct looking {
	struct selection *selection;
	const struct blocks *new_blocks;
	struct coverage *coverage;
};

static void look_at_old(void *ctx, size_t block, const uint8_t *plain, size_t len)
{
	const struct looking *looking = ctx;
	if (plain == NULL)
		looking->selection->old_wanted[block] = false;
	else
		coverage_add(looking->coverage, plain, len);
}

static void look_at_new(void *ctx, size_t block, const uint8_t *plain, size_t len)
{
	const struct looking *looking = ctx;
	/* What is not compressed comes smaller among what is new than among what is packed. */
	bool is_stored = looking->new_blocks->items[block].codec == CODEC_STORED;
	if (plain == NULL || (!is_stored && coverage_of(looking->coverage, plain, len) < coverage_min))
		selection_demote(looking->selection, block);
}

static uint64_t plain_len(const struct blocks *blocks, const bool *wanted)
{
	uint64_t len = 0;
	for (size_t i = 0; i < blocks->count; i++)
		len += wanted[i] ? blocks->items[i].plain_len : 0;
	return len;
}

/* Sets aside what cannot be decoded, and what of NEW is new. */
static enum blockz_status find_covered(struct selection *selection, const struct image *old, const struct image *new,
				       const struct codec_env *env, struct stages *stages, struct blockz_fault *fault)
{
	uint64_t old_len = plain_len(&old->blocks, selection->old_wanted);
	uint64_t new_len = plain_len(&new->blocks, selection->open);
	struct looking looking = { selection, &new->blocks, coverage_new(old_len) };
	const struct text_viewer old_viewer = { look_at_old, &looking }, new_viewer = { look_at_new, &looking };
	if (looking.coverage == NULL)
		return fault_nomem(fault);
	struct blockz_work work = stages_next(stages, STAGE_LOOK_OLD, old_len);
	enum blockz_status status = plain_text_look(old, selection->old_wanted, env, &old_viewer, &work, fault);
	if (status == BLOCKZ_OK) {
		work = stages_next(stages, STAGE_LOOK_NEW, new_len);
		status = plain_text_look(new, selection->open, env, &new_viewer, &work, fault);
	}
	coverage_free(looking.coverage);
	return status;
}

/* Open blocks that are proved, with only the candidates that the client may be asked for. */
struct proving {
	struct blocks blocks;
	uint8_t back[PROVE_NONE]; /* of these candidates: the index among all */
	uint32_t *wanted;
	size_t count;
	uint64_t len; /* decoded, of all of them */
	uint8_t *proof;
	uint64_t *cost_ns;
	struct proof_digest *digest;
};

static void proving_free(struct proving *proving)
{
	free(proving->blocks.candidates);
	free(proving->wanted);
	free(proving->proof);
	free(proving->cost_ns);
	free(proving->digest);
}

static bool proving_allocate(struct proving *proving, const struct blocks *all)
{
	size_t room = all->count + 1;
	proving->blocks = *all;
	proving->blocks.candidates = malloc((all->candidate_count + 1) * sizeof(*all->candidates));
	proving->blocks.candidate_count = 0;
	proving->wanted = malloc(room * sizeof(*proving->wanted));
	proving->proof = malloc(room * sizeof(*proving->proof));
	proving->cost_ns = malloc(room * sizeof(*proving->cost_ns));
	proving->digest = malloc(room * sizeof(*proving->digest));
	return proving->blocks.candidates != NULL && proving->wanted != NULL && proving->proof != NULL &&
	       proving->cost_ns != NULL && proving->digest != NULL;
}

/* What is stored needs no proof. */
static void list_unproved(const struct selection *selection, const struct blocks *all, struct proving *proving)
{
	for (size_t i = 0; i < all->candidate_count && i < PROVE_NONE; i++) {
		if (!selection->allowed[i])
			continue;
		proving->back[proving->blocks.candidate_count] = (uint8_t)i;
		proving->blocks.candidates[proving->blocks.candidate_count++] = all->candidates[i];
	}
	for (size_t i = 0; i < all->count; i++) {
		if (!selection->open[i] || all->items[i].codec == CODEC_STORED)
			continue;
		proving->wanted[proving->count++] = (uint32_t)i;
		proving->len += all->items[i].plain_len;
	}
}

static void keep_proved(struct selection *selection, const struct proving *proving)
{
	for (size_t i = 0; i < proving->count; i++) {
		struct selected *selected = &selection->blocks[proving->wanted[i]];
		if (proving->proof[i] == PROVE_NONE) {
			selection_demote(selection, proving->wanted[i]);
			selected->unproved = true;
		} else {
			selected->candidate = proving->back[proving->proof[i]];
			selected->encode_ns = proving->cost_ns[i];
			selected->digest = proving->digest[i];
		}
	}
}

/* Leaves open what an encoder makes again, and what needs none. */
static enum blockz_status find_proved(struct selection *selection, const struct image *new,
				      const struct codec_env *env, struct stages *stages, struct blockz_fault *fault)
{
	struct proving proving = { .count = 0 };
	if (!proving_allocate(&proving, &new->blocks)) {
		proving_free(&proving);
		return fault_nomem(fault);
	}
	list_unproved(selection, &new->blocks, &proving);
	struct blockz_work work = stages_next(stages, STAGE_PROVE, proving.len);
	const struct proofs proofs = { &new->file, &proving.blocks, env, proving.wanted, proving.count,
				       proving.proof, proving.cost_ns, proving.digest };
	enum blockz_status status = prove_blocks(&proofs, &work, fault);
	if (status == BLOCKZ_OK)
		keep_proved(selection, &proving);
	proving_free(&proving);
	return status;
}

enum blockz_status selection_begin(const struct image *old, const struct image *new,
				   const struct blockz_delta_options *options, struct selection *selection_ret,
				   struct blockz_fault *fault)
{
	struct selection selection = {
		.blocks = calloc(new->blocks.count + 1, sizeof(struct selected)),
		.open = calloc(new->blocks.count + 1, sizeof(bool)),
		.old_wanted = calloc(old->blocks.count + 1, sizeof(bool)),
		.allowed = calloc(new->blocks.candidate_count + 1, sizeof(bool)),
	};
	bool ok = selection.blocks != NULL && selection.open != NULL && selection.old_wanted != NULL &&
		  selection.allowed != NULL;
	enum blockz_status status = ok ? find_equal(&selection, old, new, fault) : fault_nomem(fault);
	if (status != BLOCKZ_OK) {
		selection_free(&selection);
		return status;
	}
	limit_wanted(&selection, old, options);
	*selection_ret = selection;
	return BLOCKZ_OK;
}

enum blockz_status selection_finish(struct selection *selection, const struct image *old, const struct image *new,
				    const struct codec_env *env, const struct blockz_delta_options *options,
				    struct stages *stages, struct blockz_fault *fault)
{
	enum blockz_status status = find_allowed(selection, &new->blocks, env, options, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!is_any_allowed(selection, &new->blocks))
		keep_stored(selection, &new->blocks, !options->portable);
	status = find_covered(selection, old, new, env, stages, fault);
	if (status != BLOCKZ_OK)
		return status;
	return find_proved(selection, new, env, stages, fault);
}
