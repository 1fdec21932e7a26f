/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rows of all formats choose in the same way. */
#include <string.h>

#include "base/fault.h"
#include "format/format.h"

enum blockz_status format_choose_check(const struct blockz_format *public, const char *name,
				       enum check_method *method_ret, struct blockz_fault *fault)
{
	static const struct {
		const char *name;
		enum check_method method;
	} methods[] = {
		{ "none", CHECK_NONE }, { "crc32", CHECK_CRC32 }, { "crc64", CHECK_CRC64 }, { "sha256", CHECK_SHA256 },
		{ "xxh64", CHECK_XXH64_LOW32 },
	};
	const char *const *offered = public->checks;
	while (name != NULL && *offered != NULL && strcmp(*offered, name) != 0)
		offered++;
	if (*offered == NULL)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "check %s: %s does not have it", name, public->name);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, *offered) == 0)
			*method_ret = methods[i].method;
	return BLOCKZ_OK;
}
