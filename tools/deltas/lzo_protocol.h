/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What blockz-lzo reads and writes: requests and answers, one by one, each a head and its bytes; integers are little-endian.
 *
 *   request   what u8 ('c' compress, 'd' decompress), algorithm u8, level u8, optimise u8 (all 0 for 'd'),
 *             length u32, room u32, then length bytes
 *   answer    what u8 ('+' done, '-' damaged, '>' does not fit), 3 zero bytes, length u32, then length bytes
 *
 * Lengths are 1 to LZO_LEN_MAX.  'd' is answered with exactly room bytes.  A request that is none ends the program.
 */
#ifndef DELTAS_LZO_PROTOCOL_H
#define DELTAS_LZO_PROTOCOL_H

enum {
	LZO_LEN_MAX = 32 << 20,
	LZO_REQUEST_LEN = 12,
	LZO_ANSWER_LEN = 8,
	LZO_WHAT = 0, LZO_ALGORITHM_OFF = 1, LZO_LEVEL_OFF = 2, LZO_OPTIMISE_OFF = 3, LZO_LENGTH_OFF = 4, LZO_ROOM_OFF = 8,
	LZO_COMPRESS = 'c', LZO_DECOMPRESS = 'd',
	LZO_DONE = '+', LZO_DAMAGED = '-', LZO_FULL = '>',
};

#endif
