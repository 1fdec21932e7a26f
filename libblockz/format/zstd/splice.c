/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Editing inside a frame: predict, encode, and prove.
 *
 * A block may use the text before it, as far as the window reaches, and the tables and last offsets that earlier blocks have
 * left.  So behind an edit the sequences of blocks are read, and tell which blocks do not mean the same any more.  Such a one
 * is encoded again from its sequences (format/zstd/recode.h): those that still give the new text stay, the others are cut, and
 * what it leaves to the blocks behind is what the old one has left.  Thus a block that only repeats tables, or copies text that
 * is still there, stays as it is.
 *
 *     old     [ A ][ B ][ C ][ D ][ E ]     the edit is in B; D copies from there, E from D
 *     new     [ A ][ B'][ C ][ D'][ E ]     D' has D's text, part of it as literals
 *
 * Two decoders go through the frame side by side: one decodes what is there, the other what there will be, from the first new
 * block on, behind a window of raw blocks, until nothing differs any more that a block could refer to.  So every byte that
 * could have become another was compared with what libzstd makes of the new blocks.  Nothing but the window, and a block or a
 * run of blocks, is kept.
 *
 * Where much of a block has changed, or lengths are to be kept, runs of blocks are encoded again as text, which can find new
 * matches (format/zstd/block_encoder.h).  These use nothing of earlier blocks but text, and leave a state that is not known.
 * Where lengths are to be kept, and in a frame whose sequences could not be read, which blocks behind a run are still right is
 * guessed, and found out by the second decoder: a wrong one is encoded again as well, and the decoder begins anew.
 *
 * Guessing costs time when it fails often: a wrong block right behind a run makes a run of twice the length, and after
 * many others a run is never shorter than a part of the window, which is what it costs to begin anew.
 */
#include "format/zstd/splice.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/equal.h"
#include "base/fault.h"
#include "format/zstd/block_decoder.h"
#include "format/zstd/block_encoder.h"
#include "format/zstd/fill.h"
#include "format/zstd/frame_blocks.h"
#include "format/zstd/history.h"
#include "format/zstd/matches.h"
#include "format/zstd/recode.h"

enum {
	RUN_MAX = 4 << 20, /* and a block more */
	WRONG_MANY = 32, /* from so many wrong blocks behind an edit on */
	WRONG_RUN_SHARE = 32, /* a run has at least such a part of the window */
	RECODE_CHANGED_MAX = 1024, /* more is better encoded as text, which can have matches */
	RECODED_LONGER_BY = 2048,
	LONGER_BY = 128, /* what a run may grow by without a stronger level being tried, beside what has changed */
};

/* Blocks that are to be encoded again. */
struct run {
	bool open;
	struct blockz_range old; /* in the file */
	struct buffer text;
	size_t len, want;
	size_t changed; /* so much of the text */
};

struct splice {
	const struct piece_edit *edit;
	const struct piece *piece;
	uint64_t image_end; /* of the piece */
	struct frame_blocks old;
	uint64_t reach; /* how far back blocks can refer */
	size_t next_range;
	bool changed; /* some of the text */
	struct buffer edited; /* room for the text of a block */
	struct block_decoder *new;
	bool proving;         /* it has followed up to here */
	bool differs;         /* what blocks refer to, or may */
	struct blockz_range differing; /* of the image, within the reach of a block: what is not as it was */
	struct history *history;  /* of the old frame */
	struct recoder *recoder;  /* NULL: lengths are to be kept, which sequences can hardly do */
	struct sequence *repaired;
	struct text_window window;
	struct run run;
	size_t wrong; /* how many blocks were, since an edit */
	struct block_encoder encoder;
	unsigned way; /* the weakest that is worth a try */
	struct encoding best, next;
	size_t filled;
	bool fits; /* so far, where lengths are to be kept */
	bool summing, summing_old;
	struct check_sum sum, old_sum;
};

/* ---- The edit */

static void note_difference(struct splice *splice, uint64_t start, size_t len)
{
	struct blockz_range *differing = &splice->differing;
	if (!splice->differs)
		differing->start = start;
	splice->differs = true;
	differing->end = start + len;
}

/* Tells what of a part of a block has changed. */
static enum blockz_status tell_changed(struct splice *splice, struct block_text *text, uint64_t start, size_t len,
				       struct blockz_fault *fault)
{
	const uint8_t *old = splice->old.decoder->text + (start - text->start), *new = text->bytes + (start - text->start);
	size_t first = equal_ahead(old, new, len);
	if (first == len)
		return BLOCKZ_OK;
	size_t behind = equal_behind(old + len, new + len, len - first);
	len -= first + behind;
	text->changed += len;
	splice->changed = true;
	note_difference(splice, start + first, len);
	return splice->edit->changed(splice->edit->ctx, start + first, old + first, new + first, len, fault);
}

/* Lays the edit over the text of a block. */
static enum blockz_status lay_over(struct splice *splice, struct block_text *text, struct blockz_fault *fault)
{
	const struct piece_edit *edit = splice->edit;
	uint64_t text_end = text->start + text->len;
	uint8_t *bytes = splice->edited.bytes;
	enum blockz_status status = BLOCKZ_OK;
	while (splice->next_range < edit->count && status == BLOCKZ_OK) {
		const struct blockz_range *range = &edit->ranges[splice->next_range];
		uint64_t start = max(range->start, text->start), end = min(range->end, text_end);
		if (start >= end)
			break;
		if (text->bytes != bytes)
			memcpy(bytes, text->bytes, text->len);
		text->bytes = bytes;
		status = edit->lay_over(edit->ctx, bytes + (start - text->start), (size_t)(end - start), start, fault);
		if (status == BLOCKZ_OK)
			status = tell_changed(splice, text, start, (size_t)(end - start), fault);
		if (range->end > text_end)
			break;
		splice->next_range++;
	}
	return status;
}

/* ---- Runs */

static bool is_good(const struct splice *splice, const struct encoding *encoding)
{
	size_t old_len = (size_t)(splice->run.old.end - splice->run.old.start), len = encoding->len;
	if (splice->edit->keep_length)
		return len <= old_len && old_len - len <= FILL_MAX - splice->filled && fill_is_possible(old_len - len);
	return len <= old_len + splice->run.changed + LONGER_BY;
}

/* A block without content, for a run of no text. */
static enum blockz_status encode_nothing(struct encoding *encoding, struct blockz_fault *fault)
{
	if (!buffer_reserve(&encoding->out, BLOCK_HEADER_LEN))
		return fault_nomem(fault);
	block_header_store(encoding->out.bytes, &(struct block_header){ false, BLOCK_RAW, 0 });
	encoding->len = BLOCK_HEADER_LEN;
	return BLOCKZ_OK;
}

/* Encodes the run in stronger and stronger ways, until it is good, to best, the shortest if none is. */
static enum blockz_status encode_run(struct splice *splice, bool *good_ret, struct blockz_fault *fault)
{
	const struct plain_run plain = { &splice->window, splice->old.header.window, splice->run.text.bytes, splice->run.len };
	struct encoding *best = &splice->best, *next = &splice->next;
	unsigned way = block_encoder_can(&splice->encoder, &plain, splice->way) ? splice->way : 0;
	best->len = SIZE_MAX;
	*good_ret = false;
	for (; way < ENCODE_WAYS && !*good_ret; way++) {
		if (!block_encoder_can(&splice->encoder, &plain, way))
			continue;
		enum blockz_status status = plain.len > 0 ? block_encoder_run(&splice->encoder, &plain, way, next, fault)
							  : encode_nothing(next, fault);
		if (status != BLOCKZ_OK)
			return status;
		*good_ret = is_good(splice, next);
		if (!*good_ret && next->len >= best->len)
			continue;
		struct encoding better = *next;
		*next = *best;
		*best = better;
		splice->way = way;
	}
	return BLOCKZ_OK;
}

/* Puts blocks without content in front of the best encoding, so that it is as long as the old blocks. */
static enum blockz_status fill_run(struct splice *splice, struct blockz_fault *fault)
{
	struct encoding filled = splice->next;
	size_t len = (size_t)(splice->run.old.end - splice->run.old.start), amount = len - splice->best.len;
	if (!buffer_reserve(&filled.out, len))
		return fault_nomem(fault);
	splice->next = splice->best;
	splice->best = filled;
	splice->best.len = len;
	fill_store(filled.out.bytes, amount);
	memcpy(filled.out.bytes + amount, splice->next.out.bytes, splice->next.len);
	splice->filled += amount;
	return BLOCKZ_OK;
}

/* *right_ret: the block is decoded behind all before it in the new frame, and gives this text. */
static enum blockz_status follow(struct splice *splice, const uint8_t *bytes, size_t len, const uint8_t *text,
				 size_t text_len, bool *right_ret, struct blockz_fault *fault)
{
	struct blockz_fault why;
	enum blockz_status status = block_decoder_next(splice->new, bytes, len, BLOCKZ_UNKNOWN, &why);
	if (status == BLOCKZ_FAILED) {
		if (fault != NULL)
			*fault = why;
		return status;
	}
	*right_ret = status == BLOCKZ_OK && splice->new->len <= text_len &&
		     equal_ahead(splice->new->text, text, splice->new->len) == splice->new->len;
	return BLOCKZ_OK;
}

/* Has the new blocks decoded to this text; the last of them ends the frame if it is to be the last. */
static enum blockz_status prove(struct splice *splice, uint64_t old_off, const uint8_t *text, size_t text_len, bool last,
				struct blockz_fault *fault)
{
	const struct encoding *best = &splice->best;
	size_t pos = 0, text_pos = 0;
	bool right = true;
	enum blockz_status status =
		splice->proving ? BLOCKZ_OK : block_decoder_prime(splice->new, &splice->window, splice->reach, fault);
	while (pos + BLOCK_HEADER_LEN <= best->len && right && status == BLOCKZ_OK) {
		uint8_t *bytes = best->out.bytes + pos;
		struct block_header header = block_header_load(bytes);
		size_t len = BLOCK_HEADER_LEN + (header.type == BLOCK_RLE ? 1 : header.size);
		pos += len;
		header.last = last && pos == best->len;
		block_header_store(bytes, &header);
		if (pos <= best->len)
			status = follow(splice, bytes, len, text + text_pos, text_len - text_pos, &right, fault);
		text_pos += right ? splice->new->len : 0;
	}
	if (status == BLOCKZ_OK && (!right || pos != best->len || text_pos != text_len))
		return fault_set(fault, BLOCKZ_FAILED, old_off, "what was made of a block does not decode to it");
	splice->proving = true;
	return status;
}

/* *ended_ret: false where lengths are to be kept, and the blocks of the run have become longer. */
static enum blockz_status end_run(struct splice *splice, bool last, bool *ended_ret, struct blockz_fault *fault)
{
	struct run *run = &splice->run;
	bool good = false;
	enum blockz_status status = encode_run(splice, &good, fault);
	*ended_ret = status == BLOCKZ_OK && (good || !splice->edit->keep_length);
	if (!*ended_ret)
		return status;
	if (splice->edit->keep_length)
		status = fill_run(splice, fault);
	if (status == BLOCKZ_OK)
		status = prove(splice, run->old.start, run->text.bytes, run->len, last, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (splice->recoder != NULL)
		splice->recoder->state = block_state_unknown();
	text_window_add(&splice->window, run->text.bytes, run->len);
	run->open = false;
	return splice->edit->replace(splice->edit->ctx, run->old, splice->best.out.bytes, splice->best.len, fault);
}

static void add_to_run(struct splice *splice, const struct frame_block *block, const struct block_text *text)
{
	struct run *run = &splice->run;
	if (text->len > 0)
		memcpy(run->text.bytes + run->len, text->bytes, text->len);
	run->len += text->len;
	run->changed += text->changed;
	run->old.end = block->off + block->len;
}

static enum blockz_status begin_run(struct splice *splice, const struct frame_block *block, const struct block_text *text,
				    struct blockz_fault *fault)
{
	struct run *run = &splice->run;
	bool touches = run->old.end == block->off;
	size_t want = touches && text->changed == 0 ? 2 * run->len : 1, least = splice->window.size / WRONG_RUN_SHARE;
	splice->wrong = text->changed > 0 ? 0 : splice->wrong + 1;
	if (splice->wrong > WRONG_MANY && want < least)
		want = least;
	if (!buffer_reserve(&run->text, (size_t)min(RUN_MAX + BLOCK_MAX, splice->image_end - splice->piece->start)))
		return fault_nomem(fault);
	run->open = true;
	run->old = (struct blockz_range){ block->off, block->off };
	run->len = run->changed = 0;
	run->want = want;
	add_to_run(splice, block, text);
	return BLOCKZ_OK;
}

/* ---- The frame */

/* Ends the run before a block, unless this belongs to it: *added_ret. */
static enum blockz_status leave_run(struct splice *splice, const struct frame_block *block, const struct block_text *text,
				    bool *added_ret, struct blockz_fault *fault)
{
	struct run *run = &splice->run;
	bool ended = false, full = run->len >= RUN_MAX;
	*added_ret = !full && (run->len < run->want || text->changed > 0);
	if (!*added_ret) {
		enum blockz_status status = end_run(splice, false, &ended, fault);
		if (ended || status != BLOCKZ_OK)
			return status;
		splice->fits = !full;
		run->want = 2 * run->len;
		*added_ret = true;
	}
	if (splice->fits)
		add_to_run(splice, block, text);
	return BLOCKZ_OK;
}

/* ---- Blocks by their sequences */

/* Whether blocks are judged by their sequences, and not by what they decode to. */
static bool has_sequences(const struct splice *splice)
{
	return splice->recoder != NULL && !splice->history->lost;
}

/* True if neither text that differs nor another state can reach a block from here on. */
static bool is_past_differences(const struct splice *splice, uint64_t start)
{
	return !splice->run.open && !splice->history->lost && start >= splice->differing.end + splice->reach &&
	       block_states_equal(&splice->history->state, &splice->recoder->state);
}

/* Follows the old blocks, as closely as is needed. */
static enum blockz_status follow_old(struct splice *splice, const struct frame_block *block, const struct block_text *text,
				     struct blockz_fault *fault)
{
	struct history *history = splice->history;
	bool begins = text->changed > 0 && splice->differing.start >= text->start;
	enum blockz_status status = BLOCKZ_OK;
	if (splice->recoder == NULL)
		return BLOCKZ_OK;
	if (begins) {
		status = history_find_reps(history, splice->edit->file, fault);
		/* The second decoder will have seen nothing but raw blocks. */
		splice->recoder->state = block_state_unknown();
	} else if (splice->differs && is_past_differences(splice, text->start)) {
		splice->differs = splice->proving = false;
	}
	if (splice->differs)
		history_read(history, block);
	else
		history_skip(history, block);
	return status;
}

static struct text_place place_of(const struct splice *splice, const struct block_text *text)
{
	return (struct text_place){ &splice->window, *text, splice->differing };
}

/* True if a block whose text has not changed means the same behind the new blocks; the new state goes on if it does. */
static bool means_the_same(struct splice *splice, const struct block_text *text)
{
	const struct history *history = splice->history;
	const struct text_place place = place_of(splice, text);
	struct block_state state = splice->recoder->state;
	if (!history_holds(history, &state) || !matches_hold(&place, history->sequences, history->head.count))
		return false;
	splice->recoder->state = state;
	return true;
}

/* *right_ret: the block can stay. */
static enum blockz_status judge(struct splice *splice, const struct frame_block *block, const struct block_text *text,
				bool *right_ret, struct blockz_fault *fault)
{
	*right_ret = text->changed == 0 && (!splice->differs || !has_sequences(splice) || means_the_same(splice, text));
	if (!*right_ret || !splice->proving)
		return BLOCKZ_OK;
	enum blockz_status status = follow(splice, block->bytes, block->len, text->bytes, text->len, right_ret, fault);
	*right_ret = *right_ret && splice->new->len == text->len;
	splice->proving = *right_ret;
	if (!*right_ret && splice->recoder != NULL)
		splice->history->lost = true;
	return status;
}

/* Encodes the block from its sequences: *done_ret, if that is worth it. */
static enum blockz_status recode_block(struct splice *splice, const struct frame_block *block, const struct block_text *text,
				       bool *done_ret, struct blockz_fault *fault)
{
	const struct history *history = splice->history;
	*done_ret = false;
	if (!has_sequences(splice) || text->changed > RECODE_CHANGED_MAX)
		return BLOCKZ_OK;
	const struct text_place place = place_of(splice, text);
	const struct recoding recoding = {
		.head = &history->head,
		.left = &history->state,
		.sequences = splice->repaired,
		.count = matches_repair(&place, history->sequences, history->head.count, splice->repaired),
		.text = text->bytes,
		.text_len = text->len,
		.block_max = (size_t)min(splice->old.header.window, BLOCK_MAX),
	};
	bool done = false;
	enum blockz_status status = zstd_recode(splice->recoder, &recoding, &splice->best, &done, fault);
	if (status != BLOCKZ_OK || !done || splice->best.len > block->len + text->changed + RECODED_LONGER_BY)
		return status;
	status = prove(splice, block->off, text->bytes, text->len, block->last, fault);
	if (status != BLOCKZ_OK)
		return status;
	*done_ret = true;
	struct blockz_range old = { block->off, block->off + block->len };
	return splice->edit->replace(splice->edit->ctx, old, splice->best.out.bytes, splice->best.len, fault);
}

static enum blockz_status take_block(struct splice *splice, const struct frame_block *block, const struct block_text *text,
				     struct blockz_fault *fault)
{
	bool added = false, right = false, done = false;
	enum blockz_status status = follow_old(splice, block, text, fault);
	if (status == BLOCKZ_OK && splice->run.open)
		status = leave_run(splice, block, text, &added, fault);
	if (status != BLOCKZ_OK || added)
		return status;
	status = judge(splice, block, text, &right, fault);
	if (status == BLOCKZ_OK && !right)
		status = recode_block(splice, block, text, &done, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!right && !done)
		return begin_run(splice, block, text, fault);
	text_window_add(&splice->window, text->bytes, text->len);
	return BLOCKZ_OK;
}

static enum blockz_status splice_block(struct splice *splice, uint64_t *image_pos, bool *last_ret,
				       struct blockz_fault *fault)
{
	struct frame_block block;
	enum blockz_status status = frame_blocks_next(&splice->old, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct block_text text = { *image_pos, splice->old.decoder->text, splice->old.decoder->len, 0 };
	if (text.len > splice->image_end - text.start)
		return fault_set(fault, BLOCKZ_DAMAGED, block.off, "a frame decodes to more than its piece holds");
	if (splice->summing_old)
		check_sum_update(&splice->old_sum, text.bytes, text.len);
	status = lay_over(splice, &text, fault);
	if (status != BLOCKZ_OK)
		return status;
	check_sum_update(&splice->sum, text.bytes, text.len);
	status = take_block(splice, &block, &text, fault);
	if (status == BLOCKZ_OK && block.last && splice->run.open && splice->fits)
		status = end_run(splice, true, &splice->fits, fault);
	*image_pos += text.len;
	*last_ret = block.last;
	return status;
}

/* Shows that the old frame was whole. */
static enum blockz_status check_old(struct splice *splice, uint64_t image_pos, struct blockz_fault *fault)
{
	const struct piece *piece = splice->piece;
	uint8_t field[CHECK_LEN_MAX];
	enum blockz_status status = frame_blocks_finish(&splice->old, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (image_pos != splice->image_end)
		return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off, "a frame decodes to less than its piece holds");
	if (!splice->summing_old)
		return BLOCKZ_OK;
	check_sum_finish(&splice->old_sum, field);
	splice->summing_old = false;
	if (load_le32(field) != piece->crc)
		return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off, "a frame's checksum does not match, by the seek table");
	return BLOCKZ_OK;
}

static enum blockz_status finish(struct splice *splice, uint64_t image_pos, struct blockz_fault *fault)
{
	const struct piece_edit *edit = splice->edit;
	uint64_t end = splice->old.end;
	uint8_t field[CHECK_LEN_MAX];
	enum blockz_status status = check_old(splice, image_pos, fault);
	if (status != BLOCKZ_OK)
		return status;
	check_sum_finish(&splice->sum, field);
	splice->summing = false;
	if (edit->check_ret != NULL)
		*edit->check_ret = load_le32(field);
	if (!splice->old.header.checksum || !splice->changed)
		return BLOCKZ_OK;
	return edit->replace(edit->ctx, (struct blockz_range){ end - CHECKSUM_LEN, end }, field, CHECKSUM_LEN, fault);
}

static bool begin_recoding(struct splice *splice)
{
	splice->history = history_new();
	splice->recoder = calloc(1, sizeof(*splice->recoder));
	splice->repaired = malloc(SEQUENCES_MAX * sizeof(splice->repaired[0]));
	return splice->history != NULL && splice->recoder != NULL && splice->repaired != NULL;
}

static enum blockz_status begin(struct splice *splice, struct blockz_fault *fault)
{
	const struct piece_edit *edit = splice->edit;
	const struct piece *piece = splice->piece;
	enum blockz_status status = frame_blocks_begin(&splice->old, edit->file, piece->file_off,
						       piece->file_off + piece->file_len, edit->map->window_max, fault);
	if (status != BLOCKZ_OK)
		return status;
	splice->reach = min(splice->old.header.window, splice->image_end - piece->start);
	splice->new = block_decoder_new();
	splice->summing = check_sum_start(&splice->sum, CHECK_XXH64_LOW32);
	splice->summing_old = piece->has_crc && check_sum_start(&splice->old_sum, CHECK_XXH64_LOW32);
	if (splice->new == NULL || (!edit->keep_length && !begin_recoding(splice)) || !splice->summing ||
	    splice->summing_old != piece->has_crc || !block_encoder_begin(&splice->encoder) ||
	    !buffer_reserve(&splice->edited, sizeof(splice->new->text)) ||
	    !text_window_begin(&splice->window, (size_t)splice->reach))
		return fault_nomem(fault);
	return BLOCKZ_OK;
}

static void end(struct splice *splice)
{
	frame_blocks_end(&splice->old);
	block_decoder_free(splice->new);
	block_encoder_end(&splice->encoder);
	history_free(splice->history);
	free(splice->recoder);
	free(splice->repaired);
	if (splice->summing)
		check_sum_finish(&splice->sum, NULL);
	if (splice->summing_old)
		check_sum_finish(&splice->old_sum, NULL);
	buffer_free(&splice->edited);
	buffer_free(&splice->window.ring);
	buffer_free(&splice->run.text);
	buffer_free(&splice->best.out);
	buffer_free(&splice->next.out);
}

enum blockz_status zstd_splice(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &edit->map->pieces[edit->piece];
	struct splice splice = {
		.edit = edit, .piece = piece, .image_end = map_piece_end(edit->map, edit->piece), .fits = true,
	};
	uint64_t image_pos = piece->start;
	bool last = false;
	enum blockz_status status = begin(&splice, fault);
	while (status == BLOCKZ_OK && splice.fits && !last)
		status = splice_block(&splice, &image_pos, &last, fault);
	if (status == BLOCKZ_OK && splice.fits)
		status = finish(&splice, image_pos, fault);
	end(&splice);
	if (status == BLOCKZ_OK)
		*done_ret = splice.fits;
	return status;
}
