/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whoever reads takes the cursor that stands nearest before what is wanted, or moves one to a mark that is nearer, or to the
 * beginning.  Where the nearest one is another thread's that comes by there, it waits for that one to have passed: then there
 * is a mark, or the cursor itself.
 */
#include "mapped/long_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "mapped/marks.h"
#include "parallel/cache.h"

/* A cursor, and where it is. */
struct place {
	struct place *next; /* in the list of all */
	void *cursor;
	bool busy; /* with a read up to `to`; then all but `busy`, `piece`, `pos` and `to` is its thread's alone */
	size_t piece; /* SIZE_MAX: nowhere */
	uint64_t pos, to; /* image offsets: of what comes next; of the end of the read */
	const uint8_t *bytes; /* what the cursor gave last, as far as it is not passed */
	size_t len;
	struct buffer mark;
};

struct long_reader {
	const struct blockz_source *file;
	const struct blockz_map *map;
	struct cache *parts;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t moved; /* a place of somebody's */
	struct place *places;
	struct marks marks;
};

struct long_reader *long_reader_new(const struct blockz_source *file, const struct blockz_map *map, uint64_t cache_limit)
{
	const struct cache_limits limits = { .bytes = cache_limit > LONG_PART ? cache_limit : LONG_PART };
	struct long_reader *reader = malloc(sizeof(*reader));
	struct cache *parts = cache_new(&limits);
	if (reader == NULL || parts == NULL) {
		free(reader);
		cache_free(parts);
		return NULL;
	}
	*reader = (struct long_reader){ .file = file, .map = map, .parts = parts, .marks = MARKS_INIT };
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->moved, NULL);
	return reader;
}

void long_reader_free(struct long_reader *reader)
{
	if (reader == NULL)
		return;
	while (reader->places != NULL) {
		struct place *place = reader->places;
		reader->places = place->next;
		reader->map->format->cursor_free(place->cursor);
		buffer_free(&place->mark);
		free(place);
	}
	marks_free(&reader->marks);
	cache_free(reader->parts);
	pthread_cond_destroy(&reader->moved);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}

/* ---- Choosing a place; all under the lock ---- */

static struct place *new_place(struct long_reader *reader)
{
	struct place *place = calloc(1, sizeof(*place));
	if (place == NULL)
		return NULL;
	place->cursor = reader->map->format->cursor_new(reader->file, reader->map->window_max);
	if (place->cursor == NULL) {
		free(place);
		return NULL;
	}
	place->piece = SIZE_MAX;
	place->next = reader->places;
	reader->places = place;
	return place;
}

/* The idle cursor of a piece that stands nearest to image offset start, not behind it; NULL: none does. */
static struct place *find_idle(const struct long_reader *reader, size_t piece, uint64_t start)
{
	struct place *found = NULL;
	for (struct place *place = reader->places; place != NULL; place = place->next)
		if (!place->busy && place->piece == piece && place->pos <= start &&
		    (found == NULL || place->pos > found->pos))
			found = place;
	return found;
}

/*
 * True if it is worth to wait for a read that goes on: it will stop nearer to image offset start than `nearest`, or is about to
 * pass there, and leaves marks on its way.
 */
static bool is_coming(const struct long_reader *reader, size_t piece, uint64_t nearest, uint64_t start)
{
	for (const struct place *place = reader->places; place != NULL; place = place->next)
		if (place->busy && place->piece == piece && place->pos <= start &&
		    (place->to <= start ? place->to > nearest : place->pos >= nearest))
			return true;
	return false;
}

/* A cursor that can be moved elsewhere; NULL: no memory for another one. */
static struct place *any_idle(struct long_reader *reader)
{
	struct place *place = reader->places;
	while (place != NULL && place->busy)
		place = place->next;
	return place != NULL ? place : new_place(reader);
}

/* How a place comes to be before what is wanted. */
struct way {
	struct place *place;
	bool stands;      /* it is; else: */
	uint64_t mark_pos; /* by the mark that was copied to place->mark; 0: from the beginning */
	size_t mark_len;
};

static bool copy_mark(struct way *way, const struct mark *mark)
{
	if (!buffer_reserve(&way->place->mark, mark->len))
		return false;
	memcpy(way->place->mark.bytes, mark->bytes, mark->len);
	way->mark_pos = mark->pos;
	way->mark_len = mark->len;
	return true;
}

/* Takes a cursor for a read of [start, end), which nobody else has then. */
static enum blockz_status take(struct long_reader *reader, size_t piece, uint64_t start, uint64_t end, struct way *way_ret,
			       struct blockz_fault *fault)
{
	struct way way = { 0 };
	const struct mark *mark;
	uint64_t piece_start = reader->map->pieces[piece].start, nearest;
	for (;;) {
		way.place = find_idle(reader, piece, start);
		mark = marks_find(&reader->marks, start);
		if (mark != NULL && mark->pos <= piece_start)
			mark = NULL;
		nearest = mark != NULL ? mark->pos : piece_start;
		way.stands = way.place != NULL && way.place->pos >= nearest;
		if (way.stands)
			nearest = way.place->pos;
		if (!is_coming(reader, piece, nearest, start))
			break;
		pthread_cond_wait(&reader->moved, &reader->lock);
	}
	if (!way.stands)
		way.place = any_idle(reader);
	if (way.place == NULL || (!way.stands && mark != NULL && !copy_mark(&way, mark)))
		return fault_nomem(fault);
	way.place->busy = true;
	way.place->piece = piece;
	way.place->pos = nearest;
	way.place->to = end;
	*way_ret = way;
	return BLOCKZ_OK;
}

static void give(struct long_reader *reader, struct place *place, bool good)
{
	pthread_mutex_lock(&reader->lock);
	place->busy = false;
	if (!good)
		place->piece = SIZE_MAX;
	pthread_cond_broadcast(&reader->moved);
	pthread_mutex_unlock(&reader->lock);
}

/* ---- Decoding ---- */

static enum blockz_status go(const struct long_reader *reader, const struct way *way, struct blockz_fault *fault)
{
	const struct format *format = reader->map->format;
	struct place *place = way->place;
	const struct piece *piece = &reader->map->pieces[place->piece];
	uint64_t image_len = piece_image_len(reader->map, place->piece);
	if (way->stands)
		return BLOCKZ_OK;
	place->len = 0;
	if (way->mark_len > 0)
		return format->cursor_resume(place->cursor, piece, image_len, place->mark.bytes, way->mark_len, fault);
	return format->cursor_start(place->cursor, piece, image_len, fault);
}

/* The cursor has given all up to image offset pos, and goes on: others may want to know, and to have a mark here. */
static void pass(struct long_reader *reader, struct place *place, uint64_t pos)
{
	const struct format *format = reader->map->format;
	size_t len;
	pthread_mutex_lock(&reader->lock);
	bool wanted = format->cursor_mark != NULL && pos < map_piece_end(reader->map, place->piece) &&
		      marks_want(&reader->marks, reader->map->pieces[place->piece].start, pos);
	pthread_mutex_unlock(&reader->lock);
	bool made = wanted && format->cursor_mark(place->cursor, &place->mark, &len);
	pthread_mutex_lock(&reader->lock);
	if (made)
		marks_add(&reader->marks, pos, place->mark.bytes, len);
	place->pos = pos;
	pthread_cond_broadcast(&reader->moved);
	pthread_mutex_unlock(&reader->lock);
}

/* Copies what of the cursor's bytes is in [start, end), and passes it. */
static void copy_part(struct long_reader *reader, struct place *place, uint64_t start, uint64_t end, uint8_t *out)
{
	size_t skipped = (size_t)min(start > place->pos ? start - place->pos : 0, place->len);
	size_t len = (size_t)min(end - place->pos, place->len);
	if (len > skipped)
		memcpy(out + (place->pos + skipped - start), place->bytes + skipped, len - skipped);
	if (len < place->len)
		return;
	uint64_t pos = place->pos + len;
	place->len = 0;
	pass(reader, place, pos);
}

/* Behind the last byte of a piece its checks are verified. */
static enum blockz_status finish(struct place *place, const struct format *format, struct blockz_fault *fault)
{
	place->len = 0;
	return format->cursor_next(place->cursor, &place->bytes, &place->len, fault);
}

static enum blockz_status decode(struct long_reader *reader, struct place *place, uint64_t start, uint64_t end, uint8_t *out,
				 struct blockz_fault *fault)
{
	const struct format *format = reader->map->format;
	enum blockz_status status = BLOCKZ_OK;
	while (place->pos < end && status == BLOCKZ_OK) {
		if (place->len == 0)
			status = format->cursor_next(place->cursor, &place->bytes, &place->len, fault);
		if (status == BLOCKZ_OK)
			copy_part(reader, place, start, end, out);
		if (place->len > 0)
			break;
	}
	if (status == BLOCKZ_OK && place->pos == map_piece_end(reader->map, place->piece))
		status = finish(place, format, fault);
	return status;
}

/* Decodes [start, end) of a piece. */
static enum blockz_status read_range(struct long_reader *reader, size_t piece, uint64_t start, uint64_t end, uint8_t *out,
				     struct blockz_fault *fault)
{
	struct way way = { 0 };
	pthread_mutex_lock(&reader->lock);
	enum blockz_status status = take(reader, piece, start, end, &way, fault);
	pthread_mutex_unlock(&reader->lock);
	if (status != BLOCKZ_OK)
		return status;
	status = go(reader, &way, fault);
	if (status == BLOCKZ_OK)
		status = decode(reader, way.place, start, end, out, fault);
	give(reader, way.place, status == BLOCKZ_OK);
	return status;
}

/* ---- Parts, each of which has a key ---- */

static enum blockz_status decode_part(const struct cache_want *want, uint8_t *bytes, struct blockz_fault *fault)
{
	struct long_reader *reader = want->ctx;
	size_t piece = (size_t)(want->key % reader->map->piece_count);
	uint64_t start = reader->map->pieces[piece].start + want->key / reader->map->piece_count * LONG_PART;
	return read_range(reader, piece, start, start + want->len, bytes, fault);
}

/* Pieces are fewer than 2^20, and parts than 2^43. */
static struct cache_want want_of(struct long_reader *reader, size_t piece, uint64_t part)
{
	uint64_t start = reader->map->pieces[piece].start + part * LONG_PART;
	size_t len = (size_t)min(map_piece_end(reader->map, piece) - start, LONG_PART);
	return (struct cache_want){
		.key = part * reader->map->piece_count + piece, .len = len, .decode = decode_part, .ctx = reader,
	};
}

enum blockz_status long_reader_read(struct long_reader *reader, size_t piece, uint64_t start, uint64_t end, uint8_t *out,
				    struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t piece_start = reader->map->pieces[piece].start;
	while (start < end && status == BLOCKZ_OK) {
		struct cached *cached = NULL;
		uint64_t part = (start - piece_start) / LONG_PART, from = start - piece_start - part * LONG_PART;
		const struct cache_want want = want_of(reader, piece, part);
		size_t len = (size_t)min(end - start, want.len - from);
		status = cache_get(reader->parts, &want, &cached, fault);
		if (status != BLOCKZ_OK)
			break;
		memcpy(out, cached->bytes + from, len);
		cache_put(reader->parts, cached);
		out += len;
		start += len;
	}
	return status;
}
