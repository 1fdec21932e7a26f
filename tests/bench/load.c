/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load SOCKET RW BLOCK CONNECTIONS LIMIT SEED FILE: keeps the NBD server at SOCKET busy, and prints what it did as JSON.
 *
 * RW is read, write, rw, randread, randwrite or randrw, as fio has it (rw and randrw: 70 % reads); BLOCK is the bytes of a
 * request.  Each of CONNECTIONS has a thread and one request in flight.  Random ones go to any block of the first
 * FILE's-size bytes of the disk, others through a share of these, again from its start when it ends.  LIMIT is a time (0.5s)
 * or a number of requests for all connections together (10000).
 *
 * What fio cannot do is write what an image holds: here block n gets what FILE has at block n + r, r being different for each
 * SEED, so that pages change, and compress as the image does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_MAX = 32 << 20, CONNECTIONS_MAX = 64, READ_PERCENT = 70 };

struct job {
	const char *socket;
	bool random;
	unsigned read_percent;
	size_t block;
	unsigned connections;
	double seconds;    /* 0: until so many requests: */
	uint64_t requests;
	uint64_t seed;
	const uint8_t *content;
	uint64_t blocks;   /* of the content, and so of the disk */
	uint64_t rotation; /* in blocks */
};

struct connection {
	const struct job *job;
	pthread_barrier_t *start;
	pthread_t thread;
	struct nbd_handle *nbd;
	uint8_t *buf;
	uint64_t random_state;
	uint64_t first, count, at; /* blocks: its share, where it is in there */
	uint64_t requests;         /* to send, if the job says how many */
	float *latencies;          /* seconds */
	size_t done, room, writes;
	double seconds;
};

static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "load: %s: %s\n", what, why);
	exit(1);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t next_block(struct connection *connection)
{
	if (connection->job->random)
		return next_random(&connection->random_state) % connection->job->blocks;
	uint64_t at = connection->at++ % connection->count;
	return connection->first + at;
}

static void request(struct connection *connection)
{
	const struct job *job = connection->job;
	uint64_t n = next_block(connection);
	bool reads = next_random(&connection->random_state) % 100 < job->read_percent;
	const uint8_t *bytes = job->content + (n + job->rotation) % job->blocks * job->block;
	int failed = reads ? nbd_pread(connection->nbd, connection->buf, job->block, n * job->block, 0)
			   : nbd_pwrite(connection->nbd, bytes, job->block, n * job->block, 0);
	if (failed != 0)
		give_up(reads ? "read" : "write", nbd_get_error());
	connection->writes += !reads;
}

static void record(struct connection *connection, double latency)
{
	if (connection->done == connection->room) {
		connection->room = 2 * connection->room + 65536;
		connection->latencies = realloc(connection->latencies, connection->room * sizeof(float));
		if (connection->latencies == NULL)
			give_up("memory", strerror(errno));
	}
	connection->latencies[connection->done++] = (float)latency;
}

static void *work(void *ctx)
{
	struct connection *connection = ctx;
	double limit = connection->job->seconds;
	pthread_barrier_wait(connection->start);
	double start = now(), before = start;
	while (limit > 0 ? before - start < limit : connection->done < connection->requests) {
		request(connection);
		double after = now();
		record(connection, after - before);
		before = after;
	}
	connection->seconds = before - start;
	return NULL;
}

static void open_connection(struct connection *connection, const struct job *job, unsigned i, pthread_barrier_t *start)
{
	uint64_t first = job->blocks * i / job->connections, end = job->blocks * (i + 1) / job->connections;
	*connection = (struct connection){
		.job = job, .start = start, .buf = malloc(job->block), .nbd = nbd_create(),
		.random_state = job->seed * CONNECTIONS_MAX + i, .first = first, .count = end - first,
		.requests = job->requests * (i + 1) / job->connections - job->requests * i / job->connections,
	};
	if (connection->buf == NULL)
		give_up("memory", strerror(errno));
	if (connection->nbd == NULL || nbd_set_pread_initialize(connection->nbd, false) != 0 ||
	    nbd_connect_unix(connection->nbd, job->socket) != 0)
		give_up(job->socket, nbd_get_error());
	int64_t size = nbd_get_size(connection->nbd);
	if (size < 0 || (uint64_t)size < job->blocks * job->block)
		give_up(job->socket, "smaller than the file");
	connection->at = next_random(&connection->random_state) % connection->count;
}

static int compare(const void *a, const void *b)
{
	const float *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

static void report(const struct job *job, struct connection *connections)
{
	struct connection all = { 0 };
	double rate = 0, seconds = 0;
	for (unsigned i = 0; i < job->connections; i++) {
		const struct connection *one = &connections[i];
		for (size_t k = 0; k < one->done; k++)
			record(&all, one->latencies[k]);
		all.writes += one->writes;
		rate += (double)one->done / one->seconds;
		seconds = one->seconds > seconds ? one->seconds : seconds;
	}
	qsort(all.latencies, all.done, sizeof(float), compare);
	printf("{\"seconds\": %.6f, \"ops\": %zu, \"writes\": %zu, \"ops_per_second\": %.1f, \"bytes_per_second\": %.0f, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
	       seconds, all.done, all.writes, rate, rate * (double)job->block, 1e6 * all.latencies[all.done / 2],
	       1e6 * all.latencies[all.done * 99 / 100], 1e6 * all.latencies[all.done - 1]);
	free(all.latencies);
}

static void run(const struct job *job)
{
	struct connection connections[CONNECTIONS_MAX];
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, job->connections);
	for (unsigned i = 0; i < job->connections; i++)
		open_connection(&connections[i], job, i, &start);
	for (unsigned i = 0; i < job->connections; i++)
		if ((errno = pthread_create(&connections[i].thread, NULL, work, &connections[i])) != 0)
			give_up("thread", strerror(errno));
	for (unsigned i = 0; i < job->connections; i++)
		pthread_join(connections[i].thread, NULL);
	report(job, connections);
	for (unsigned i = 0; i < job->connections; i++) {
		nbd_shutdown(connections[i].nbd, 0);
		nbd_close(connections[i].nbd);
		free(connections[i].buf);
		free(connections[i].latencies);
	}
	pthread_barrier_destroy(&start);
}

/* Reads it as well, so that no request waits for the file. */
static void map_content(struct job *job, const char *path)
{
	struct stat stat;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) != 0)
		give_up(path, strerror(errno));
	job->blocks = (uint64_t)stat.st_size / job->block;
	if (job->blocks < 2 || job->blocks < job->connections)
		give_up(path, "too small");
	void *content = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (content == MAP_FAILED)
		give_up(path, strerror(errno));
	job->content = content;
	close(fd);
	uint64_t state = job->seed;
	job->rotation = 1 + next_random(&state) % (job->blocks - 1);
}

static bool parse(char **argv, struct job *job)
{
	static const struct {
		const char *name;
		bool random;
		unsigned read_percent;
	} ways[] = { { "read", false, 100 },    { "write", false, 0 },    { "rw", false, READ_PERCENT },
		     { "randread", true, 100 }, { "randwrite", true, 0 }, { "randrw", true, READ_PERCENT } };
	char *unit;
	size_t i = 0;
	while (i < sizeof(ways) / sizeof(*ways) && strcmp(argv[2], ways[i].name) != 0)
		i++;
	if (i == sizeof(ways) / sizeof(*ways))
		return false;
	double limit = strtod(argv[5], &unit);
	*job = (struct job){
		.socket = argv[1], .random = ways[i].random, .read_percent = ways[i].read_percent,
		.block = strtoul(argv[3], NULL, 10), .connections = (unsigned)strtoul(argv[4], NULL, 10),
		.seconds = *unit == 's' ? limit : 0, .requests = *unit == 's' ? 0 : (uint64_t)limit,
		.seed = strtoull(argv[6], NULL, 10),
	};
	return job->block > 0 && job->block <= BLOCK_MAX && job->connections > 0 && job->connections <= CONNECTIONS_MAX &&
	       (job->seconds > 0 || job->requests >= job->connections);
}

int main(int argc, char **argv)
{
	struct job job;
	if (argc != 8 || !parse(argv, &job)) {
		fprintf(stderr, "usage: load SOCKET read|write|rw|randread|randwrite|randrw BLOCK CONNECTIONS LIMIT SEED FILE\n");
		return 2;
	}
	map_content(&job, argv[7]);
	run(&job);
	return 0;
}
