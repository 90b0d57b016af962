/*
 * Starts short-lived programs and waits for each: itself, which ends at once.
 *
 * exec_storm COUNT RATE SECONDS WORKERS: each worker stops after COUNT rounds (0: no limit) or after
 * SECONDS (0: no limit); RATE rounds per second of all workers together (0: as fast as it goes).
 * Round N of worker W starts `exec_storm true-W-N SALT`, so that every start can be told apart.
 * Prints over all workers: rounds, failed rounds, nanoseconds of the longest.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long u64;

struct result {
	u64 rounds, failed, elapsed_ns;
};

static u64 clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static struct result storm(const char *self, u64 worker, u64 count, u64 rate, u64 limit_ns)
{
	struct result result = { 0 };
	u64 start = clock_ns();

	while (!count || result.rounds < count) {
		char name[64];
		int status = -1;

		snprintf(name, sizeof(name), "true-%llu-%llu", worker, result.rounds);
		pid_t pid = fork();
		if (pid == 0) {
			execl(self, self, name, "salt", (char *)NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			result.failed++;
		result.rounds++;
		u64 elapsed = clock_ns() - start;
		if (rate && result.rounds * 1000000000ULL > elapsed * rate) {
			u64 left = result.rounds * 1000000000ULL / rate - elapsed;
			struct timespec pause = { left / 1000000000ULL, left % 1000000000ULL };

			nanosleep(&pause, NULL);
			elapsed = clock_ns() - start;
		}
		if (limit_ns && elapsed >= limit_ns)
			break;
	}
	result.elapsed_ns = clock_ns() - start;
	return result;
}

int main(int argc, char **argv)
{
	struct result sum = { 0 }, one;
	int ends[2];

	if (argc > 1 && !strncmp(argv[1], "true-", 5))
		return 0;
	if (argc != 5 || pipe(ends)) {
		fprintf(stderr, "usage: exec_storm COUNT RATE SECONDS WORKERS\n");
		return 2;
	}
	u64 count = strtoull(argv[1], NULL, 10), rate = strtoull(argv[2], NULL, 10);
	u64 limit_ns = strtoull(argv[3], NULL, 10) * 1000000000ULL;
	u64 workers = strtoull(argv[4], NULL, 10);

	for (u64 worker = 0; worker < workers; worker++) {
		if (fork() == 0) {
			one = storm("/proc/self/exe", worker, count, rate / workers, limit_ns);
			return write(ends[1], &one, sizeof(one)) != sizeof(one);
		}
	}
	for (u64 worker = 0; worker < workers; worker++) {
		if (read(ends[0], &one, sizeof(one)) != sizeof(one))
			return 1;
		sum.rounds += one.rounds;
		sum.failed += one.failed;
		if (one.elapsed_ns > sum.elapsed_ns)
			sum.elapsed_ns = one.elapsed_ns;
		wait(NULL);
	}
	printf("%llu %llu %llu\n", sum.rounds, sum.failed, sum.elapsed_ns);
	return 0;
}
