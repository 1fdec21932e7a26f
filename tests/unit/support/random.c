/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers by xorshift64*, from a fixed seed. */
#include "random.h"

uint64_t rnd(void)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t rnd_below(uint64_t n)
{
	return (rnd() >> 8) % n;
}

void rnd_fill(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(rnd() >> 32);
}
