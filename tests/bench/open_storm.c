/*
 * Opens (and closes) one file again and again with open(2), which neither libc nor anything else
 * around it uses: the probe's counters of this event type are about these loops alone.
 *
 * open_storm PATH COUNT RATE SECONDS WORKERS: each worker process stops after COUNT opens (0: no
 * limit) or after SECONDS (0: no limit); RATE opens per second of all workers together (0: as fast
 * as it goes). Prints over all workers: opens, failed opens, nanoseconds of the longest, nanoseconds of
 * processor time (without the waiting that RATE makes, this is what one open costs).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long u64;

struct result {
	u64 opens, failed, elapsed_ns, cpu_ns;
};

static u64 clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static struct result storm(const char *path, u64 count, u64 rate, u64 limit_ns)
{
	struct result result = { 0 };
	u64 start = clock_ns(CLOCK_MONOTONIC);

	while (!count || result.opens < count) {
		long fd = syscall(SYS_open, path, O_RDONLY);
		if (fd < 0)
			result.failed++;
		else
			close(fd);
		result.opens++;
		/* The clock is read every 64 opens: often enough to pace, seldom enough not to matter. */
		if (result.opens % 64)
			continue;
		u64 elapsed = clock_ns(CLOCK_MONOTONIC) - start;
		while (rate && result.opens * 1000000000ULL > elapsed * rate)
			elapsed = clock_ns(CLOCK_MONOTONIC) - start;
		if (limit_ns && elapsed >= limit_ns)
			break;
	}
	result.elapsed_ns = clock_ns(CLOCK_MONOTONIC) - start;
	result.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	return result;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: open_storm PATH COUNT RATE SECONDS WORKERS\n");
		return 2;
	}
	u64 count = strtoull(argv[2], NULL, 10), rate = strtoull(argv[3], NULL, 10);
	u64 limit_ns = strtoull(argv[4], NULL, 10) * 1000000000ULL;
	int workers = atoi(argv[5]), ends[2];
	struct result all = { 0 }, one;

	if (workers < 1 || pipe(ends))
		return 2;
	for (int i = 0; i < workers; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			one = storm(argv[1], count, rate / workers, limit_ns);
			_exit(write(ends[1], &one, sizeof one) != sizeof one);
		}
	}
	for (int i = 0; i < workers; i++) {
		if (read(ends[0], &one, sizeof one) != sizeof one)
			return 1;
		all.opens += one.opens;
		all.failed += one.failed;
		all.cpu_ns += one.cpu_ns;
		if (one.elapsed_ns > all.elapsed_ns)
			all.elapsed_ns = one.elapsed_ns;
	}
	while (wait(NULL) > 0)
		;
	printf("%llu %llu %llu %llu\n", all.opens, all.failed, all.elapsed_ns, all.cpu_ns);
	return 0;
}
