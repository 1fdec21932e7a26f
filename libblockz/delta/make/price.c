/* SPDX-License-Identifier: BSD-3-Clause */
/* A fast level of zstd says as well as a slow encoder whether a block pays; what is packed already is not tried again. */
#include "delta/make/price.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/fault.h"

enum { PRICE_LEVEL = 3, PRICE_OF_OP = 2 };

struct pricer {
	ZSTD_CCtx *zstd;
	struct buffer packed;
};

struct pricer *pricer_new(void)
{
	struct pricer *pricer = calloc(1, sizeof(*pricer));
	if (pricer == NULL)
		return NULL;
	pricer->zstd = ZSTD_createCCtx();
	if (pricer->zstd == NULL) {
		pricer_free(pricer);
		return NULL;
	}
	return pricer;
}

void pricer_free(struct pricer *pricer)
{
	if (pricer == NULL)
		return;
	ZSTD_freeCCtx(pricer->zstd);
	buffer_free(&pricer->packed);
	free(pricer);
}

uint64_t pricer_memory(uint64_t new_longest)
{
	return new_longest;
}

static enum blockz_status add_price(struct pricer *pricer, const uint8_t *bytes, size_t len, uint64_t *price,
				    struct blockz_fault *fault)
{
	size_t bound = ZSTD_compressBound(len);
	if (len == 0)
		return BLOCKZ_OK;
	if (!buffer_reserve(&pricer->packed, bound))
		return fault_nomem(fault);
	size_t packed = ZSTD_compressCCtx(pricer->zstd, pricer->packed.bytes, bound, bytes, len, PRICE_LEVEL);
	if (ZSTD_isError(packed))
		return fault_nomem(fault);
	*price += packed;
	return BLOCKZ_OK;
}

enum blockz_status price_script(struct pricer *pricer, const struct script *script, uint64_t *price_ret,
				struct blockz_fault *fault)
{
	static const uint8_t compressed[] = { OP_ADD, OP_EXTRA };
	uint64_t price = PRICE_OF_OP * script->op_count + script->lens[OP_PACKED];
	for (size_t i = 0; i < sizeof(compressed); i++) {
		uint8_t kind = compressed[i];
		enum blockz_status status =
			add_price(pricer, script->bytes[kind].bytes, script->lens[kind], &price, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	*price_ret = price;
	return BLOCKZ_OK;
}
