/* SPDX-License-Identifier: BSD-3-Clause */
/* Deltas made by hand: OLD, NEW and what is between them. */
#ifndef SCENES_H
#define SCENES_H

#include "delta/file/write.h"
#include "memory.h"

enum { STORED = 2, ENCODERS, BLOCK_LEN = 20000 };

struct scene {
	struct bytes old, new, delta;
	struct bytes space; /* of OLD: see delta/file/delta.h */
	struct delta_head head;
	struct delta_old_blocks old_blocks;
	struct section section; /* the one that is being made */
	struct delta_writer *writer;
	struct growing_sink sink;
	uint64_t since_block; /* bytes of the stream */
	struct codec_contexts contexts;
};

/* OLD has so many blocks, of all encoders in turn, and NEW nothing yet. */
struct scene *scene_new(size_t blocks);
struct scene *scene_of(size_t blocks, size_t block_len);

/* One op of the section, and the bytes that it makes, returned. */
struct bytes scene_op(struct scene *scene, unsigned kind, uint64_t old_off, size_t len);

/* The bytes that the last ops have made stand in NEW as they are, or are one block of it. */
void scene_verbatim(struct scene *scene, struct bytes made);
void scene_block(struct scene *scene, unsigned encoder, struct bytes made);

/* Ends a section, and the delta. */
struct section scene_cut(struct scene *scene);
void scene_finish(struct scene *scene, struct section *sections, size_t count);

/* Sections of blocks and bytes between them, made by all kinds of ops. */
struct scene *scene_random(size_t old_blocks, size_t section_count, size_t steps, size_t len_max);

enum blockz_status merge(struct blockz_source old, struct blockz_source delta, struct growing_sink *sink,
			 struct blockz_work work, struct blockz_fault *fault);
void assert_merges(const struct scene *scene, unsigned threads);

#endif
