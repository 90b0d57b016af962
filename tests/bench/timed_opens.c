/*
 * timed_opens PATH TRIES PAUSE_MS: opens the file for reading TRIES times, a pause before each, and
 * prints the wall clock in nanoseconds just before each open.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: timed_opens PATH TRIES PAUSE_MS\n");
		return 2;
	}
	long tries = strtol(argv[2], NULL, 10), pause_ms = strtol(argv[3], NULL, 10);
	struct timespec pause = { pause_ms / 1000, pause_ms % 1000 * 1000000 };

	for (long i = 0; i < tries; i++) {
		struct timespec now;
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME, &now);
		int fd = open(argv[1], O_RDONLY);
		if (fd < 0) {
			perror(argv[1]);
			return 1;
		}
		close(fd);
		printf("%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
	}
	return 0;
}
