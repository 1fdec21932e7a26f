/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of codecs have in common. */
#ifndef CODECS_H
#define CODECS_H

#include "check/method.h"
#include "codec/codec.h"
#include "images.h"

/* Encodes; the result may not fit, and is then empty. */
struct bytes encode_block(struct codec_contexts *contexts, const struct codec_params *params, struct bytes plain);

/*
 * Decodes bytes, with room behind them and behind what they decode to that is exactly as long as promised, to out_len
 * bytes in plain_ret, which a caller need not free.
 */
enum blockz_status decode_block(struct codec_contexts *contexts, unsigned codec, struct bytes packed, size_t out_len,
				struct bytes *plain_ret);

/* Encodes blocks of many lengths and kinds, and decodes them again. */
void assert_round_trips(struct codec_contexts *contexts, const struct codec_params *params);

/*
 * Decodes a small block with each bit turned over, cut at each byte, and with other lengths promised: it is refused
 * or there are as many bytes as promised, and those of a cut block are right.
 */
void assert_bears_damage(struct codec_contexts *contexts, const struct codec_params *params);

#endif
