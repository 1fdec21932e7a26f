/* SPDX-License-Identifier: BSD-3-Clause */
/* Each column stands for an equal share of the image, or of the file: what is raw shows, however little it is. */
#include "draw/bar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/size.h"

enum { CAPTION_COLUMNS = 7, SIZE_COLUMNS = 11 };

enum shade { SHADE_NONE, SHADE_ZERO, SHADE_COMPRESSED, SHADE_MIXED, SHADE_RAW, SHADES };

/* Backgrounds from the 256-colour palette, with a text colour that can be read on each. */
static const struct {
	char letter;
	const char *colour;
	const char *name;
} looks[SHADES] = {
	[SHADE_NONE] = { ' ', "", "" },
	[SHADE_ZERO] = { '.', "\033[48;5;250;38;5;16m", "zeros" },
	[SHADE_COMPRESSED] = { '=', "\033[48;5;67;38;5;231m", "compressed" },
	[SHADE_MIXED] = { '+', "\033[48;5;223;38;5;16m", "raw in part" },
	[SHADE_RAW] = { '#', "\033[48;5;208;38;5;16m", "raw" },
};

/* How many bytes of each kind one column stands for. */
struct cell {
	uint64_t bytes[BLOCKZ_ZERO + 1];
};

struct bar {
	struct cell cells[BAR_COLUMNS_MAX];
	uint64_t cell_size;
	unsigned columns;
};

static void bar_init(struct bar *bar, uint64_t size, unsigned columns)
{
	memset(bar, 0, sizeof(*bar));
	bar->columns = columns;
	bar->cell_size = size / columns + (size % columns != 0);
}

static void bar_add(struct bar *bar, uint64_t start, uint64_t end, enum blockz_kind kind)
{
	while (start < end) {
		uint64_t column = start / bar->cell_size;
		uint64_t len = bar->cell_size - start % bar->cell_size;
		if (column >= bar->columns)
			return;
		if (len > end - start)
			len = end - start;
		bar->cells[column].bytes[kind] += len;
		start += len;
	}
}

static enum shade cell_shade(const struct cell *cell)
{
	uint64_t raw = cell->bytes[BLOCKZ_RAW], packed = cell->bytes[BLOCKZ_COMPRESSED], zero = cell->bytes[BLOCKZ_ZERO];
	if (raw > 0)
		return raw / 2 >= packed && raw / 2 >= zero ? SHADE_RAW : SHADE_MIXED;
	if (packed > 0)
		return packed >= zero ? SHADE_COMPRESSED : SHADE_ZERO;
	return zero > 0 ? SHADE_ZERO : SHADE_NONE;
}

/* text: one character a column, a space where the bar shows. */
static void bar_put(FILE *out, const struct bar *bar, const char *text, bool colours)
{
	enum shade last = SHADE_NONE;
	for (unsigned i = 0; i < bar->columns; i++) {
		enum shade shade = cell_shade(&bar->cells[i]);
		if (colours && shade != last)
			fprintf(out, "\033[0m%s", looks[shade].colour);
		last = shade;
		fputc(text[i] != ' ' || colours ? text[i] : looks[shade].letter, out);
	}
	if (colours)
		fputs("\033[0m", out);
}

/* Writes each partition's number where it starts, or behind the number before it. */
static void put_numbers(char *text, const struct bar *bar, const struct partitions *partitions)
{
	unsigned next = 0;
	for (size_t i = 0; bar->cell_size > 0 && i < partitions->count; i++) {
		char number[16];
		uint64_t column = partitions->items[i].range.start / bar->cell_size;
		int len = snprintf(number, sizeof(number), "%u", partitions->items[i].number);
		if (column < next)
			column = next;
		if (len <= 0 || column + (unsigned)len > bar->columns)
			break;
		memcpy(text + column, number, (size_t)len);
		next = (unsigned)column + (unsigned)len + 1;
	}
}

static void put_legend(FILE *out, bool colours)
{
	fprintf(out, "%*s", CAPTION_COLUMNS, "");
	for (int shade = SHADES; --shade > SHADE_NONE;) {
		if (colours)
			fprintf(out, "%s  \033[0m %s   ", looks[shade].colour, looks[shade].name);
		else
			fprintf(out, "%c %s   ", looks[shade].letter, looks[shade].name);
	}
	fputc('\n', out);
}

unsigned bar_columns(FILE *out)
{
	struct winsize size = { 0 };
	if (!isatty(fileno(out)))
		return 0;
	return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool bar_colours(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

void bar_print(FILE *out, const struct blockz_map *map, const struct partitions *partitions, unsigned columns,
	       bool colours)
{
	struct blockz_map_info info = blockz_map_info(map);
	struct blockz_map_range range;
	struct bar image, file;
	char text[BAR_COLUMNS_MAX], size[32];
	columns = columns < BAR_COLUMNS_MIN ? BAR_COLUMNS_MIN : columns;
	columns -= CAPTION_COLUMNS + SIZE_COLUMNS;
	columns = columns > BAR_COLUMNS_MAX ? BAR_COLUMNS_MAX : columns;
	bar_init(&image, info.image_size, columns);
	bar_init(&file, info.file_size, columns);
	for (uint64_t off = 0; blockz_map_range_at(map, off, &range); off = range.end) {
		bar_add(&image, range.start, range.end, range.kind);
		bar_add(&file, range.file_off, range.file_end, range.kind);
	}
	memset(text, ' ', sizeof(text));
	put_numbers(text, &image, partitions);
	fprintf(out, "%-*s", CAPTION_COLUMNS, "image");
	bar_put(out, &image, text, colours);
	size_human(size, sizeof(size), info.image_size);
	fprintf(out, " %s\n", size);
	memset(text, ' ', sizeof(text));
	fprintf(out, "%-*s", CAPTION_COLUMNS, "file");
	bar_put(out, &file, text, colours);
	size_human(size, sizeof(size), info.file_size);
	fprintf(out, " %s\n", size);
	put_legend(out, colours);
}
