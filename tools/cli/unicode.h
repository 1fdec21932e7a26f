/* SPDX-License-Identifier: BSD-3-Clause */
/* UTF-8, and which of its characters may stand on a terminal. */
#ifndef CLI_UNICODE_H
#define CLI_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The length of the character that text starts with, or 0 where that is none: overlong forms, surrogates, and what lies
 * behind U+10FFFF (RFC 3629).  text ends with a 0, which is a character of length 1.
 */
size_t unicode_decode(const char *text, uint32_t *code_ret);

/*
 * False for what is not seen where it stands and can make a text look like another: control characters, those that turn
 * the direction, join or separate, fill or vary without a form of their own, and noncharacters.
 */
bool unicode_is_visible(uint32_t code);

#endif
