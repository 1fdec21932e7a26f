/* SPDX-License-Identifier: BSD-3-Clause */
/* The fixed text that encoders are told apart by. */
#ifndef DELTA_CODEC_PROBE_H
#define DELTA_CODEC_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the first len bytes of the probe. */
void probe_make(uint8_t *bytes, size_t len);

#endif
