/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of magics of files that are none of ours. */
#include "format/others.h"

#include <string.h>

/* The first that fits: a GPT has an MBR in front. */
static const struct {
	const char *name;
	size_t off, len;
	const char *magic;
} others[] = {
	{ "a .bz2 file", 0, 3, "BZh" },
	{ "a .lz file", 0, 4, "LZIP" },
	{ "a .lzma file", 0, 3, "\x5d\0\0" },
	{ "a .lz4 file", 0, 4, "\x04\x22\x4d\x18" },
	{ "a .lzo file", 0, 9, "\x89LZO\0\r\n\x1a\n" },
	{ "a .Z file", 0, 2, "\x1f\x9d" },
	{ "a .zip archive", 0, 4, "PK\x03\x04" },
	{ "a .7z archive", 0, 6, "7z\xbc\xaf\x27\x1c" },
	{ "a qcow2 image", 0, 4, "QFI\xfb" },
	{ "a SquashFS image", 0, 4, "hsqs" },
	{ "a plain image with a GPT", 512, 8, "EFI PART" },
	{ "a plain image with a GPT", 4096, 8, "EFI PART" },
	{ "a plain image with an MBR or a boot sector", 510, 2, "\x55\xaa" },
	{ "a plain image of an ext2, ext3 or ext4 file system", 1080, 2, "\x53\xef" },
};

const char *other_by_magic(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (len >= others[i].off + others[i].len &&
		    memcmp(head + others[i].off, others[i].magic, others[i].len) == 0)
			return others[i].name;
	return NULL;
}
