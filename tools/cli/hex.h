/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes in hexadecimal, as digests and fingerprints are printed. */
#ifndef CLI_HEX_H
#define CLI_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes two lower-case digits a byte, and a NUL: text has room for 2 * len + 1. */
void hex_write(char *text, const uint8_t *bytes, size_t len);

#endif
