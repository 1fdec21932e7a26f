/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands behind the image in a compressed file: see struct blockz_map_info. */
#ifndef CLI_APPENDED_H
#define CLI_APPENDED_H

#include "blockz.h"

enum { APPENDED_TEXT = 128 };

/* Puts a warning of it into words; false: there is nothing to warn of. */
bool appended_text(char text[APPENDED_TEXT], const struct blockz_map_info *info);

#endif
