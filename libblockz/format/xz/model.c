/* SPDX-License-Identifier: BSD-3-Clause */
/* How a model begins. */
#include "format/xz/model.h"

_Static_assert(sizeof(struct xz_probs) % sizeof(uint16_t) == 0, "it is nothing but probabilities");

void xz_model_reset(struct xz_model *model)
{
	uint16_t *probs = (uint16_t *)&model->probs;
	model->last.state = 0;
	for (size_t i = 0; i < REP_COUNT; i++)
		model->last.reps[i] = 1;
	for (size_t i = 0; i < sizeof(model->probs) / sizeof(*probs); i++)
		probs[i] = PROB_START;
}

bool xz_model_set(struct xz_model *model, uint8_t properties)
{
	model->lc = properties % 9;
	model->lp = properties / 9 % 5;
	model->pb = properties / 9 / 5;
	if (properties > PROPERTIES_MAX || model->lc + model->lp > LZMA_LCLP_MAX)
		return false;
	xz_model_reset(model);
	return true;
}
