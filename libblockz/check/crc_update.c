/* SPDX-License-Identifier: BSD-3-Clause */
/* CRCs of bytes, by whichever library was built in. */
#include "check/crc.h"

#if BLOCKZ_WITH_ISAL

#include <isa-l/crc.h>
#include <isa-l/crc64.h>

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len)
{
	return crc32_gzip_refl(crc, bytes, len);
}

uint64_t crc64_update(uint64_t crc, const void *bytes, size_t len)
{
	return crc64_ecma_refl(crc, bytes, len);
}

#else

#include <libdeflate.h>
#include <lzma.h>

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len)
{
	return libdeflate_crc32(crc, bytes, len);
}

uint64_t crc64_update(uint64_t crc, const void *bytes, size_t len)
{
	return lzma_crc64(bytes, len, crc);
}

#endif
