/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges too narrow to be told apart are united into bands, so that a picture of any map is small. */
#include "draw/svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/size.h"
#include "draw/edit_text.h"

/* All lengths are in pixels of an unscaled picture. */
enum {
	WIDTH = 1200,
	MARGIN = 40,
	LEFT = 130, /* the bars start here; captions stand before them */
	BAR_WIDTH = WIDTH - LEFT - MARGIN,
	LABELS_TOP = 122,
	LABEL_ROW = 19,
	LABEL_ROWS_MAX = 8,
	STRIP_HEIGHT = 24,
	BAR_HEIGHT = 54,
	BANDS_HEIGHT = 150,
	AXIS_HEIGHT = 22,
	LEGEND_ROW = 24,
	BOTTOM = 30,
	VISIBLE_MIN = 2,
	CHAR_WIDTH = 7, /* of the 12-pixel font, on average and generously */
	TICK_SPACE = 90,
};

/* ---- Text */

static size_t text_chars(const char *text)
{
	size_t count = 0;
	for (; *text != '\0'; text++)
		count += (*text & 0xc0) != 0x80;
	return count;
}

/* Labels come from the image and titles from the file system: both may hold any bytes. */
static void put_text(FILE *out, const char *text)
{
	char *escaped = escape(text);
	for (const char *s = escaped != NULL ? escaped : "?"; *s != '\0'; s++) {
		if (strchr("<>&\"'", *s) != NULL)
			fprintf(out, "&#%d;", *s);
		else if (strncmp(s, "\xef\xbf\xbe", 3) == 0 || strncmp(s, "\xef\xbf\xbf", 3) == 0)
			s += 2; /* U+FFFE and U+FFFF, which XML 1.0 forbids */
		else
			fputc(*s, out);
	}
	free(escaped);
}

/* ---- What is drawn */

enum shade { SHADE_ZERO, SHADE_COMPRESSED, SHADE_MIXED, SHADE_RAW, SHADES };

static const struct {
	const char *class;
	const char *name;
} shade_names[SHADES] = {
	[SHADE_ZERO] = { "z", "zeros" },
	[SHADE_COMPRESSED] = { "c", "compressed" },
	[SHADE_MIXED] = { "m", "raw in part" },
	[SHADE_RAW] = { "r", "raw" },
};

/* One range of the map, or several in a row that are too narrow to be told apart. */
struct band {
	struct blockz_range image, file;
	uint64_t raw, zero; /* image bytes of these kinds in it */
};

/* A band is closed when it reaches a 2000th of the image or of the file, so this many are enough for any map. */
enum { PARTS = 2000, BANDS_MAX = 6 * PARTS + 8 };

struct drawing {
	FILE *out;
	const struct svg_picture *picture;
	struct blockz_map_info info;
	struct band *bands;
	size_t band_count;
	uint64_t ranges[BLOCKZ_ZERO + 1];
	uint64_t image_bytes[BLOCKZ_ZERO + 1];
	uint64_t file_bytes[BLOCKZ_ZERO + 1];
	uint64_t fixed_bytes; /* raw, but not patchable */
	struct blockz_edit_cost costs[BLOCKZ_ZERO + 1]; /* the highest */
	double bar_top;       /* of the image */
};

static enum shade band_shade(const struct band *band)
{
	uint64_t all = band->image.end - band->image.start;
	if (band->raw > 0)
		return band->raw == all ? SHADE_RAW : SHADE_MIXED;
	return band->zero == all ? SHADE_ZERO : SHADE_COMPRESSED;
}

static bool is_narrow(const struct drawing *drawing, struct blockz_range image, struct blockz_range file)
{
	return image.end - image.start <= drawing->info.image_size / PARTS &&
	       file.end - file.start <= drawing->info.file_size / PARTS;
}

static void add_range(struct drawing *drawing, const struct blockz_map_range *range)
{
	uint64_t len = range->end - range->start;
	struct blockz_range image = { range->start, range->end }, file = { range->file_off, range->file_end };
	drawing->ranges[range->kind]++;
	drawing->image_bytes[range->kind] += len;
	drawing->file_bytes[range->kind] += range->file_end - range->file_off;
	if (range->kind == BLOCKZ_RAW && !range->patchable)
		drawing->fixed_bytes += len;
	struct band *last = drawing->band_count > 0 ? &drawing->bands[drawing->band_count - 1] : NULL;
	if (last == NULL || !is_narrow(drawing, image, file) || !is_narrow(drawing, last->image, last->file)) {
		if (drawing->band_count < BANDS_MAX)
			last = &drawing->bands[drawing->band_count++];
		*last = (struct band){ .image = image, .file = file };
	}
	last->image.end = image.end;
	last->file.end = file.end;
	last->raw += range->kind == BLOCKZ_RAW ? len : 0;
	last->zero += range->kind == BLOCKZ_ZERO ? len : 0;
}

static void add_cost(struct drawing *drawing, const struct blockz_map_range *range)
{
	const struct blockz_edit_cost cost =
		blockz_map_edit_cost(drawing->picture->map, (struct blockz_range){ range->start, range->end });
	if (cost.ns > drawing->costs[range->kind].ns)
		drawing->costs[range->kind] = cost;
}

static void add_ranges(struct drawing *drawing)
{
	struct blockz_map_range range;
	for (uint64_t off = 0; blockz_map_range_at(drawing->picture->map, off, &range); off = range.end) {
		add_range(drawing, &range);
		add_cost(drawing, &range);
	}
}

static double scaled(uint64_t off, uint64_t size)
{
	return size == 0 ? LEFT : LEFT + (double)BAR_WIDTH * ((double)off / (double)size);
}

/* Where a range stands on a bar, at least VISIBLE_MIN wide. */
static void place_range(struct blockz_range range, uint64_t size, double *x_ret, double *end_ret)
{
	double x = scaled(range.start, size), end = scaled(range.end, size);
	if (end - x < VISIBLE_MIN) {
		end = x + VISIBLE_MIN;
		if (end > LEFT + BAR_WIDTH)
			end = LEFT + BAR_WIDTH;
		x = end - VISIBLE_MIN;
	}
	*x_ret = x;
	*end_ret = end;
}

/* ---- The parts of the picture, from top to bottom */

static void put_head(struct drawing *drawing, double height)
{
	fprintf(drawing->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d %.0f\">\n"
		"<style>\n"
		"text{font-family:'DejaVu Sans','Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:12px;"
		"fill:#334155}\n"
		".title{font-size:21px;font-weight:bold;fill:#0f172a}\n"
		".sub{font-size:14px}\n"
		".cap{font-size:14px;font-weight:bold;fill:#0f172a}\n"
		".tick{font-size:11px;fill:#64748b}\n"
		".line{stroke:#94a3b8;stroke-width:1;fill:none}\n"
		".box{fill:#ffffff;stroke:#94a3b8;stroke-width:1}\n"
		".bar{fill:#f1f5f9}\n"
		".c{fill:#4f7cac}.z{fill:#d3dae3}.m{fill:#f0b978}.r{fill:#e8772e}\n"
		".band{fill-opacity:.3}.band.r,.band.m{fill-opacity:.5}.band.z{fill-opacity:.5}\n"
		"</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fbfcfd\"/>\n",
		WIDTH, height, WIDTH, height);
}

static void put_title(struct drawing *drawing)
{
	FILE *out = drawing->out;
	char image[32], file[32];
	size_human(image, sizeof(image), drawing->info.image_size);
	size_human(file, sizeof(file), drawing->info.file_size);
	fprintf(out, "<text class=\"title\" x=\"%d\" y=\"50\">", MARGIN);
	put_text(out, drawing->picture->title);
	fprintf(out, "</text>\n<text class=\"sub\" x=\"%d\" y=\"76\">image of %s in %s of %s", MARGIN, image,
		file, drawing->info.format);
	if (drawing->info.image_size > 0)
		fprintf(out, ": <tspan font-weight=\"bold\">%.1f %%</tspan>",
			100.0 * (double)drawing->info.file_size / (double)drawing->info.image_size);
	fprintf(out, "</text>\n<text class=\"tick\" x=\"%d\" y=\"96\">%" PRIu64 " byte%s of image, %" PRIu64
		" byte%s of file, %" PRIu64 " piece%s, map from %s</text>\n",
		MARGIN, drawing->info.image_size, plural(drawing->info.image_size), drawing->info.file_size,
		plural(drawing->info.file_size), drawing->info.pieces, plural(drawing->info.pieces),
		drawing->info.index != BLOCKZ_INDEX_NONE ? "the index in the file" : "a scan of the file");
}

/* A partition on the strip above the image, and its label: inside, or in a row above with a line down to it. */
struct tag {
	const struct partition *partition;
	double x, end;             /* of the partition */
	double text_x, text_width; /* of the label; the line stands at x + 1 */
	unsigned row;              /* 0: inside; 1: the lowest above; TAG_NOWHERE: no room, or not placed yet */
	char text[256];
};

enum { TAG_NOWHERE = LABEL_ROWS_MAX + 1 };

static void tag_name(struct tag *tag)
{
	const struct partition *partition = tag->partition;
	const char *names[] = { partition->label, partition->fs_label, partition->fs_type, partition->type };
	const char *name = "";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && name[0] == '\0'; i++)
		name = names[i];
	char size[32];
	size_human(size, sizeof(size), partition->range.end - partition->range.start);
	/* A GPT name has at most 108 bytes of UTF-8. */
	snprintf(tag->text, sizeof(tag->text), "%u%s%.160s \xc2\xb7 %s", partition->number,
		 name[0] != '\0' ? " \xc2\xb7 " : "", name, size);
	char *escaped = escape(tag->text);
	tag->text_width = escaped != NULL ? (double)text_chars(escaped) * CHAR_WIDTH : 0;
	free(escaped);
}

/* Whether the label of tag can stand in row: no label touches another, and no line runs through one. */
static bool tag_fits(const struct tag *tags, size_t count, const struct tag *tag, unsigned row)
{
	double start = tag->text_x, end = tag->text_x + tag->text_width;
	for (const struct tag *other = tags; other < tags + count; other++) {
		double other_start = other->text_x, other_end = other->text_x + other->text_width;
		if (other == tag || other->row == 0 || other->row == TAG_NOWHERE)
			continue;
		if (other->row == row && start < other_end + CHAR_WIDTH && other_start < end + CHAR_WIDTH)
			return false;
		if (other->row > row && other->x >= start - VISIBLE_MIN && other->x <= end)
			return false;
		if (other->row < row && tag->x >= other_start - VISIBLE_MIN && tag->x <= other_end)
			return false;
	}
	return true;
}

/* From right to left, so that the lines of earlier ones pass before the labels of later ones.  Returns the rows. */
static unsigned tags_place(struct tag *tags, size_t count)
{
	unsigned rows = 0;
	for (size_t i = 0; i < count; i++)
		tags[i].row = TAG_NOWHERE;
	for (struct tag *tag = tags + count; tag-- > tags;) {
		tag->text_x = tag->x + 5;
		if (tag->text_x + tag->text_width > WIDTH - MARGIN / 2)
			tag->text_x = tag->x - 3 - tag->text_width;
		unsigned row = tag->text_width + 2 * CHAR_WIDTH <= tag->end - tag->x ? 0 : 1;
		while (row > 0 && row < TAG_NOWHERE && !tag_fits(tags, count, tag, row))
			row++;
		tag->row = row;
		if (row < TAG_NOWHERE && rows < row)
			rows = row;
	}
	return rows;
}

static void put_tag(struct drawing *drawing, const struct tag *tag)
{
	FILE *out = drawing->out;
	double strip = drawing->bar_top - STRIP_HEIGHT - 4;
	fprintf(out, "<g><title>");
	put_text(out, tag->text);
	fprintf(out, "</title>\n<rect class=\"box\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\"/>\n", tag->x,
		strip, tag->end - tag->x, STRIP_HEIGHT);
	double y = strip + 16.5;
	double x = (tag->x + tag->end - tag->text_width) / 2;
	if (tag->row > 0 && tag->row < TAG_NOWHERE) {
		x = tag->text_x;
		y = strip - 7 - (tag->row - 1) * LABEL_ROW;
		fprintf(out, "<path class=\"line\" d=\"M%.2f %.1fV%.1f\"/>\n", tag->x + 1, strip, y - 10);
	}
	if (tag->row == 0)
		fprintf(out, "<text x=\"%.2f\" y=\"%.1f\" text-anchor=\"middle\">", (tag->x + tag->end) / 2, y);
	else if (tag->row < TAG_NOWHERE)
		fprintf(out, "<text x=\"%.2f\" y=\"%.1f\"%s>", x < tag->x ? tag->x - 3 : x, y,
			x < tag->x ? " text-anchor=\"end\"" : "");
	if (tag->row < TAG_NOWHERE) {
		put_text(out, tag->text);
		fprintf(out, "</text>");
	}
	fprintf(out, "</g>\n");
}

/* What stands behind a range: how it can be edited. */
static void put_edit(FILE *out, const struct blockz_edit_cost *cost)
{
	char time[32], size[32];
	time_human(time, sizeof(time), cost->ns);
	size_human(size, sizeof(size), cost->piece_image_bytes);
	if (cost->how == BLOCKZ_EDIT_RAW)
		fputs(": can be edited in place", out);
	else if (cost->how == BLOCKZ_EDIT_NONE)
		fputs(": cannot be edited", out);
	else
		fprintf(out, ": can be edited, 4 KiB in about %s: %s of %s encoded again%s", time,
			cost->how == BLOCKZ_EDIT_PART ? "part of a piece" : "a piece", size, cost->new_file ? ", a new file" : "");
}

/* Shown where the pointer is; only bands that it can find have one, which bounds the picture. */
static void put_tip(struct drawing *drawing, const struct band *band)
{
	char size[32];
	if (is_narrow(drawing, band->image, band->file))
		return;
	size_human(size, sizeof(size), band->image.end - band->image.start);
	fprintf(drawing->out, "<title>%s, %s from %" PRIu64, shade_names[band_shade(band)].name, size, band->image.start);
	const struct blockz_edit_cost cost = blockz_map_edit_cost(drawing->picture->map, band->image);
	put_edit(drawing->out, &cost);
	fputs("</title>", drawing->out);
}

static void put_bar(struct drawing *drawing, double top, bool of_image, const char *caption, uint64_t size)
{
	FILE *out = drawing->out;
	char human[32];
	size_human(human, sizeof(human), size);
	fprintf(out, "<text class=\"cap\" x=\"%d\" y=\"%.1f\">%s</text>\n<text x=\"%d\" y=\"%.1f\">%s</text>\n", MARGIN,
		top + BAR_HEIGHT / 2.0 - 3, caption, MARGIN, top + BAR_HEIGHT / 2.0 + 15, human);
	fprintf(out, "<rect class=\"bar\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>\n", LEFT, top, BAR_WIDTH,
		BAR_HEIGHT);
	/* What can be edited is drawn last, so that nothing hides it. */
	for (int shade = 0; shade < SHADES; shade++) {
		for (const struct band *band = drawing->bands; band < drawing->bands + drawing->band_count; band++) {
			double x, end;
			if (band_shade(band) != (enum shade)shade)
				continue;
			place_range(of_image ? band->image : band->file, size, &x, &end);
			fprintf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\">",
				shade_names[shade].class, x, top, end - x, BAR_HEIGHT);
			put_tip(drawing, band);
			fputs("</rect>\n", out);
		}
	}
	fprintf(out, "<rect class=\"line\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>\n", LEFT, top, BAR_WIDTH,
		BAR_HEIGHT);
}

static void put_bands(struct drawing *drawing, double top, double bottom)
{
	double middle = (top + bottom) / 2;
	for (int shade = 0; shade < SHADES; shade++) {
		for (const struct band *band = drawing->bands; band < drawing->bands + drawing->band_count; band++) {
			double x, end, file_x, file_end;
			if (band_shade(band) != (enum shade)shade)
				continue;
			place_range(band->image, drawing->info.image_size, &x, &end);
			place_range(band->file, drawing->info.file_size, &file_x, &file_end);
			fprintf(drawing->out,
				"<path class=\"band %s\" d=\"M%.2f %.1fH%.2fC%.2f %.1f %.2f %.1f %.2f %.1fH%.2fC%.2f "
				"%.1f %.2f %.1f %.2f %.1fZ\"/>\n",
				shade_names[shade].class, x, top, end, end, middle, file_end, middle, file_end, bottom,
				file_x, file_x, middle, x, middle, x, top);
		}
	}
}

static void put_tick(struct drawing *drawing, double x, double top, const char *anchor, const char *label)
{
	fprintf(drawing->out,
		"<path class=\"line\" d=\"M%.2f %.1fv5\"/>"
		"<text class=\"tick\" x=\"%.2f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
		x, top, x, top + 17, anchor, label);
}

/* Ticks at multiples of a power of two, eight at most, each with its exact offset, and one at the end. */
static void put_axis(struct drawing *drawing, double top, uint64_t size)
{
	static const char units[] = "KMGTPE";
	double end = LEFT + BAR_WIDTH;
	uint64_t step = 1;
	while (step < size / 8)
		step *= 2;
	for (uint64_t off = 0; off < size && end - scaled(off, size) > TICK_SPACE; off += step) {
		uint64_t value = off;
		size_t power = 0;
		while (value > 0 && value % 1024 == 0) {
			value /= 1024;
			power++;
		}
		char label[40];
		if (power == 0)
			snprintf(label, sizeof(label), "%" PRIu64, value);
		else
			snprintf(label, sizeof(label), "%" PRIu64 " %ciB", value, units[power - 1]);
		put_tick(drawing, scaled(off, size), top, off == 0 ? "start" : "middle", label);
	}
	char label[32];
	size_human(label, sizeof(label), size);
	put_tick(drawing, end, top, "end", label);
}

static void put_legend_row(struct drawing *drawing, double y, enum shade shade, enum blockz_kind kind)
{
	char image[32], file[32];
	size_human(image, sizeof(image), drawing->image_bytes[kind]);
	size_human(file, sizeof(file), drawing->file_bytes[kind]);
	fprintf(drawing->out,
		"<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"16\" height=\"14\"/>"
		"<text x=\"%d\" y=\"%.1f\"><tspan font-weight=\"bold\">%s</tspan>  %s of image in %s of file, "
		"%" PRIu64 " range%s",
		shade_names[shade].class, LEFT, y - 11.5, LEFT + 26, y, shade_names[shade].name, image, file,
		drawing->ranges[kind], drawing->ranges[kind] == 1 ? "" : "s");
	if (kind == BLOCKZ_RAW && drawing->fixed_bytes > 0) {
		size_human(image, sizeof(image), drawing->fixed_bytes);
		fprintf(drawing->out, ": can be edited in place, but for %s that later data refers to", image);
	} else {
		put_edit(drawing->out, &drawing->costs[kind]);
	}
	fputs("</text>\n", drawing->out);
}

/* Returns how many rows there are; draws them if top is positive. */
static unsigned put_legend(struct drawing *drawing, double top)
{
	static const struct {
		enum shade shade;
		enum blockz_kind kind;
	} rows[] = { { SHADE_RAW, BLOCKZ_RAW }, { SHADE_COMPRESSED, BLOCKZ_COMPRESSED }, { SHADE_ZERO, BLOCKZ_ZERO } };
	unsigned count = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (drawing->ranges[rows[i].kind] == 0)
			continue;
		if (top > 0)
			put_legend_row(drawing, top + count * LEGEND_ROW, rows[i].shade, rows[i].kind);
		count++;
	}
	bool mixed = false;
	for (size_t i = 0; i < drawing->band_count; i++)
		mixed = mixed || band_shade(&drawing->bands[i]) == SHADE_MIXED;
	if (mixed && top > 0)
		fprintf(drawing->out,
			"<rect class=\"m\" x=\"%d\" y=\"%.1f\" width=\"16\" height=\"14\"/><text x=\"%d\" y=\"%.1f\">"
			"<tspan font-weight=\"bold\">%s</tspan>  raw and other ranges too narrow to tell apart</text>\n",
			LEFT, top + count * LEGEND_ROW - 11.5, LEFT + 26, top + count * LEGEND_ROW,
			shade_names[SHADE_MIXED].name);
	return count + mixed;
}

static void put_picture(struct drawing *drawing, struct tag *tags)
{
	const struct partitions *partitions = drawing->picture->partitions;
	unsigned rows = tags_place(tags, partitions->count);
	drawing->bar_top = LABELS_TOP + rows * LABEL_ROW + (partitions->count > 0 ? STRIP_HEIGHT + 8 : 0);
	double bands_top = drawing->bar_top + BAR_HEIGHT + AXIS_HEIGHT;
	double file_top = bands_top + BANDS_HEIGHT;
	double legend_top = file_top + BAR_HEIGHT + AXIS_HEIGHT + 36;
	put_head(drawing, legend_top + put_legend(drawing, 0) * LEGEND_ROW + BOTTOM - LEGEND_ROW);
	put_title(drawing);
	for (size_t i = 0; i < partitions->count; i++)
		put_tag(drawing, &tags[i]);
	put_bands(drawing, drawing->bar_top + BAR_HEIGHT, file_top);
	put_bar(drawing, drawing->bar_top, true, "Image", drawing->info.image_size);
	put_axis(drawing, drawing->bar_top + BAR_HEIGHT, drawing->info.image_size);
	put_bar(drawing, file_top, false, "File", drawing->info.file_size);
	put_axis(drawing, file_top + BAR_HEIGHT, drawing->info.file_size);
	put_legend(drawing, legend_top);
	fputs("</svg>\n", drawing->out);
}

int svg_write(FILE *out, const struct svg_picture *picture)
{
	const struct partitions *partitions = picture->partitions;
	struct drawing drawing = { .out = out, .picture = picture, .info = blockz_map_info(picture->map) };
	struct tag *tags = calloc(partitions->count + 1, sizeof(*tags));
	drawing.bands = malloc(BANDS_MAX * sizeof(*drawing.bands));
	int error = ENOMEM;
	if (tags != NULL && drawing.bands != NULL) {
		add_ranges(&drawing);
		for (size_t i = 0; i < partitions->count; i++) {
			tags[i].partition = &partitions->items[i];
			place_range(partitions->items[i].range, drawing.info.image_size, &tags[i].x, &tags[i].end);
			tag_name(&tags[i]);
		}
		put_picture(&drawing, tags);
		error = 0;
	}
	free(tags);
	free(drawing.bands);
	return error;
}
