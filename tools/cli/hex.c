/* SPDX-License-Identifier: BSD-3-Clause */
/* The digits are those that sha256sum prints. */
#include "cli/hex.h"

void hex_write(char *text, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}
