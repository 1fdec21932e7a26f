/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the fixed text that encoders are told apart by. */
#ifndef CODEC_PROBE_H
#define CODEC_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the first len bytes of the probe. */
void probe_make(uint8_t *bytes, size_t len);

#endif
