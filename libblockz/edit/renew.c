/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A piece is encoded at the level that the file tells of, if that is known, and at ever stronger ones, until it has room.
 * To be filled, it had better be encoded stronger at once: at its own level an edit leaves it as long as it was, or longer.
 */
#include "edit/renew.h"

#include <string.h>

#include "base/fault.h"

void renewer_free(struct renewer *renewer)
{
	for (size_t i = 0; i < RENEWER_ENCODERS; i++)
		if (renewer->kept[i].encoder != NULL)
			renewer->map->format->encoder_free(renewer->kept[i].encoder);
	buffer_free(&renewer->attempt.out);
}

/* An encoder by these parameters, which stays the renewer's; NULL: no memory. */
static void *encoder_for(struct renewer *renewer, const struct pack_params *params)
{
	const struct format *format = renewer->map->format;
	for (size_t i = 0; i < RENEWER_ENCODERS; i++)
		if (renewer->kept[i].encoder != NULL && memcmp(&renewer->kept[i].params, params, sizeof(*params)) == 0)
			return renewer->kept[i].encoder;
	size_t slot = renewer->next++ % RENEWER_ENCODERS;
	if (renewer->kept[slot].encoder != NULL)
		format->encoder_free(renewer->kept[slot].encoder);
	memcpy(&renewer->kept[slot].params, params, sizeof(*params));
	renewer->kept[slot].encoder = format->encoder_new(params);
	return renewer->kept[slot].encoder;
}

/* The level to try after `level`, of which 0 means none yet; 0: there is no other. */
static int next_level(const struct format *format, int own, int level, bool exactly)
{
	const int *levels = format->renew_levels;
	if (level == 0 && own != 0 && !exactly)
		return own;
	int least = level == 0 ? own : level, last = 0;
	for (; *levels != 0; levels++) {
		last = *levels;
		if (last > least)
			return last;
	}
	return level == 0 ? last : 0;
}

static void swap(struct encoding *a, struct encoding *b)
{
	struct encoding other = *a;
	*a = *b;
	*b = other;
}

static enum blockz_status encode_at(struct renewer *renewer, struct pack_params *params, int level,
				    const struct plain_piece *plain, struct blockz_fault *fault)
{
	params->level = level;
	renewer->attempts++;
	void *encoder = encoder_for(renewer, params);
	if (encoder == NULL)
		return fault_nomem(fault);
	return renewer->map->format->encode(encoder, plain, &renewer->attempt, fault);
}

/* *fits_ret: what was encoded has room, and is filled if it has to be. */
static enum blockz_status fit(const struct format *format, struct encoding *encoding, const struct renew_room *room,
			      bool *fits_ret, struct blockz_fault *fault)
{
	*fits_ret = encoding->len <= room->len;
	return *fits_ret && room->exactly ? format->fill(encoding, (size_t)room->len, fits_ret, fault) : BLOCKZ_OK;
}

enum blockz_status renewer_encode(struct renewer *renewer, size_t piece, const struct plain_piece *plain,
				  const struct renew_room *room, struct encoding *encoding, bool *fits_ret,
				  struct blockz_fault *fault)
{
	const struct format *format = renewer->map->format;
	struct pack_params params;
	memset(&params, 0, sizeof(params)); /* padding, too, as parameters are compared */
	enum blockz_status status = format->renew_params(renewer->file, renewer->map, piece, &params, fault);
	int own = params.level, level = 0;
	bool first = true;
	renewer->attempts = 0;
	*fits_ret = false;
	while (status == BLOCKZ_OK && !*fits_ret && (level = next_level(format, own, level, room->exactly)) != 0) {
		status = encode_at(renewer, &params, level, plain, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (!first && renewer->attempt.len >= encoding->len)
			continue;
		swap(encoding, &renewer->attempt);
		first = false;
		status = fit(format, encoding, room, fits_ret, fault);
	}
	return status;
}
