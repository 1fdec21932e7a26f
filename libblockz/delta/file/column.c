/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns: values of one kind, one behind the other, which become a stream. */
#include "base/array.h"
#include "delta/file/varint.h"
#include "delta/file/writer.h"

bool column_add_byte(struct column *column, uint8_t byte)
{
	uint8_t *bytes = array_room(column->bytes, column->len, 1);
	if (bytes == NULL)
		return false;
	column->bytes = bytes;
	column->bytes[column->len++] = byte;
	return true;
}

bool column_add_varint(struct column *column, uint64_t value)
{
	uint8_t bytes[VARINT_MAX];
	size_t len = varint_put(bytes, value);
	for (size_t i = 0; i < len; i++)
		if (!column_add_byte(column, bytes[i]))
			return false;
	return true;
}
