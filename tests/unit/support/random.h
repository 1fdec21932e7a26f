/* SPDX-License-Identifier: BSD-3-Clause */
/* Random input that is the same in every run. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The next number; of one thread. */
uint64_t rnd(void);

/* 0 to n - 1. */
uint64_t rnd_below(uint64_t n);

void rnd_fill(uint8_t *bytes, size_t len);

#endif
