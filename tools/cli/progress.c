/* SPDX-License-Identifier: BSD-3-Clause */
/* The bar, drawn eight times a second at most, and how a signal stops what it shows. */
#include "cli/cli.h"

#include <unistd.h>

#include "cli/signals.h"
#include "cli/size.h"

static double seconds_between(const struct timespec *start, const struct timespec *end)
{
	return (double)(end->tv_sec - start->tv_sec) + (double)(end->tv_nsec - start->tv_nsec) / 1e9;
}

static void draw(struct cli *cli, uint64_t done, double seconds)
{
	enum { WIDTH = 24 };
	char done_text[32], total_text[32], rate[32];
	size_human(done_text, sizeof(done_text), done);
	size_human(rate, sizeof(rate), seconds > 0 ? (uint64_t)((double)done / seconds) : 0);
	fprintf(stderr, "\r%s: ", cli->bar.label);
	if (cli->bar.total != BLOCKZ_UNKNOWN && cli->bar.total > 0) {
		double part = done < cli->bar.total ? (double)done / (double)cli->bar.total : 1;
		unsigned long left = part > 0 ? (unsigned long)(seconds / part * (1 - part) + 0.5) : 0;
		int filled = (int)(part * WIDTH);
		size_human(total_text, sizeof(total_text), cli->bar.total);
		fprintf(stderr, "[%.*s%.*s] %3d%%  %s of %s  %s/s  ETA %lu:%02lu", filled, "========================",
			WIDTH - filled, "........................", (int)(part * 100), done_text, total_text, rate,
			left / 60, left % 60);
	} else {
		fprintf(stderr, "%s  %s/s", done_text, rate);
	}
	fputs(isatty(STDERR_FILENO) ? "\033[K" : "  ", stderr);
	fflush(stderr);
	cli->bar.shown = true;
	signals_line_begun(true);
}

static bool on_progress(void *ctx, uint64_t image_done, uint64_t file_done)
{
	enum { A_SECOND = 8 };
	struct cli *cli = ctx;
	struct timespec now;
	uint64_t done = cli->bar.of_file ? file_done : image_done;
	if (cli->progress != CLI_PROGRESS_NEVER) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		bool must = cli->progress == CLI_PROGRESS_ALWAYS && (!cli->bar.shown || done == cli->bar.total);
		if (must || seconds_between(&cli->bar.last, &now) > 1.0 / A_SECOND) {
			draw(cli, done, seconds_between(&cli->bar.start, &now));
			cli->bar.last = now;
		}
	}
	return signals_noted() == 0;
}

struct blockz_work cli_work(struct cli *cli, const char *label, uint64_t total)
{
	if (cli->progress == CLI_PROGRESS_AUTO && (cli->quiet || !isatty(STDERR_FILENO)))
		cli->progress = CLI_PROGRESS_NEVER;
	cli->bar.label = label;
	cli->bar.total = total;
	cli->bar.of_file = false;
	cli->bar.shown = false;
	clock_gettime(CLOCK_MONOTONIC, &cli->bar.start);
	cli->bar.last = cli->bar.start;
	return (struct blockz_work){ .threads = cli->threads, .progress = on_progress, .progress_ctx = cli };
}

struct blockz_work cli_work_on_file(struct cli *cli, const char *label, uint64_t file_size)
{
	struct blockz_work work = cli_work(cli, label, file_size);
	cli->bar.of_file = true;
	return work;
}

void cli_work_end(struct cli *cli)
{
	if (cli->bar.shown)
		fputs(isatty(STDERR_FILENO) ? "\r\033[K" : "\n", stderr);
	cli->bar.shown = false;
	signals_line_begun(false);
}
