/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoders that are not ours, one for each format. */
#ifndef JUDGE_H
#define JUDGE_H

#include "memory.h"

/* True if the format's index is one of our own, that needs a sink that can be rewritten. */
bool has_own_index(const struct blockz_format *format);

/*
 * Decodes a file by another decoder than ours: one stream, and nothing behind it.  False if it is refused, or decodes to
 * more than room.len bytes.
 */
bool judge(const char *format, struct bytes file, struct bytes room, size_t *len_ret);
bool judge_says(const char *format, struct bytes file, struct bytes image);
void assert_decodes(const char *format, struct bytes file, struct bytes image);

/* The same for all that can be read: several members, Streams or frames, padding, what was appended to gzip members. */
bool judge_any(const char *format, struct bytes file, struct bytes room, size_t *len_ret);

/* The same for any number of gzip members, with zeros behind the last one, as gzip has it. */
bool judge_gzip_members(struct bytes file, struct bytes room, size_t *len_ret);

#endif
