/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32 of bytes, by whichever library was built in; both run at many GB/s. */
#include "check/crc.h"

#if BLOCKZ_WITH_ISAL

#include <isa-l/crc.h>

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len)
{
	return crc32_gzip_refl(crc, bytes, len);
}

#else

#include <libdeflate.h>

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len)
{
	return libdeflate_crc32(crc, bytes, len);
}

#endif
