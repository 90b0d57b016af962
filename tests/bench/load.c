/*
 * Load of one kind, as fast as it goes or paced, by worker processes that know nothing of each
 * other.
 *
 * load KIND WORKERS SECONDS RATE [PATH]: KIND is open (openat and close of PATH), names (openat and
 * close of each name in the directory PATH in turn, below its descriptor, as find and rm do), exec
 * (fork, execve of this program, exit), tcp (connect, accept and close on loopback) or mix (200
 * opens, 20 tcp and 1 exec a round). RATE: units a second of all workers together, 0 for as many as possible. Prints
 * over all workers: units done, nanoseconds of the longest, nanoseconds of processor time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long u64;

struct result {
	u64 units, elapsed_ns, cpu_ns;
};

static const char *path = "/etc/hostname";
static char *self;
static int listener = -1;
static struct sockaddr_in address;

static u64 now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static u64 cpu_ns(void)
{
	u64 sum = 0;
	int who[] = { RUSAGE_SELF, RUSAGE_CHILDREN };

	for (int i = 0; i < 2; i++) {
		struct rusage usage;
		getrusage(who[i], &usage);
		sum += (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ULL;
		sum += (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
	}
	return sum;
}

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static void one_open(void)
{
	int fd = openat(AT_FDCWD, path, O_RDONLY);
	if (fd < 0)
		fail(path);
	close(fd);
}

#define MAX_NAMES 256
static char *names[MAX_NAMES];
static int directory = -1, name_count, next_name;

static void list_names(void)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		fail(path);
	directory = dirfd(dir);
	while (name_count < MAX_NAMES && (entry = readdir(dir)))
		if (entry->d_type == DT_REG)
			names[name_count++] = strdup(entry->d_name);
	if (!name_count)
		fail("no files");
}

static void one_name(void)
{
	const char *name = names[next_name++ % name_count];
	int fd = openat(directory, name, O_RDONLY);

	if (fd < 0)
		fail(name);
	close(fd);
}

static void one_exec(void)
{
	char *argv[] = { self, "exit", NULL }, *envp[] = { NULL };
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		execve(self, argv, envp);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("exec");
}

static void listen_here(void)
{
	socklen_t len = sizeof address;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (void *)&address, len) || listen(listener, 128) ||
	    getsockname(listener, (void *)&address, &len))
		fail("listen");
}

static void one_tcp(void)
{
	/* Reset instead of lingering, or the ports would run out. */
	struct linger reset = { 1, 0 };
	int client = socket(AF_INET, SOCK_STREAM, 0), server;

	if (connect(client, (void *)&address, sizeof address))
		fail("connect");
	server = accept(listener, NULL, NULL);
	if (server < 0)
		fail("accept");
	setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(client);
	close(server);
}

static void one_round(void)
{
	for (int i = 0; i < 200; i++)
		one_open();
	for (int i = 0; i < 20; i++)
		one_tcp();
	one_exec();
}

static struct result work(void (*unit)(void), u64 batch, double rate, u64 limit_ns)
{
	struct result result = { 0 };
	u64 start = now_ns();

	for (;;) {
		for (u64 i = 0; i < batch; i++)
			unit();
		result.units += batch;
		u64 elapsed = now_ns() - start;
		while (rate > 0 && result.units * 1e9 > elapsed * rate) {
			struct timespec nap = { 0, 200000 };
			nanosleep(&nap, NULL);
			elapsed = now_ns() - start;
		}
		if (elapsed >= limit_ns)
			break;
	}
	result.elapsed_ns = now_ns() - start;
	result.cpu_ns = cpu_ns();
	return result;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "exit"))
		return 0;
	if (argc < 5) {
		fprintf(stderr, "usage: load KIND WORKERS SECONDS RATE [PATH]\n");
		return 2;
	}
	int workers = atoi(argv[2]), ends[2];
	u64 limit_ns = atof(argv[3]) * 1e9, batch = 1;
	double rate = atof(argv[4]);
	struct result all = { 0 }, one;
	void (*unit)(void) = !strcmp(argv[1], "exec") ? one_exec :
			     !strcmp(argv[1], "tcp") ? one_tcp :
			     !strcmp(argv[1], "names") ? one_name :
			     !strcmp(argv[1], "mix") ? one_round : one_open;

	if (unit == one_name)
		path = "/usr/bin";
	self = realpath("/proc/self/exe", NULL);
	if (argc > 5)
		path = argv[5];
	if (unit == one_open || unit == one_name)
		batch = 64;
	if (unit == one_name)
		list_names();
	if (workers < 1 || pipe(ends))
		return 2;
	for (int i = 0; i < workers; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			if (unit == one_tcp || unit == one_round)
				listen_here();
			one = work(unit, batch, rate / workers, limit_ns);
			_exit(write(ends[1], &one, sizeof one) != sizeof one);
		}
	}
	for (int i = 0; i < workers; i++) {
		if (read(ends[0], &one, sizeof one) != sizeof one)
			return 1;
		all.units += one.units;
		all.cpu_ns += one.cpu_ns;
		if (one.elapsed_ns > all.elapsed_ns)
			all.elapsed_ns = one.elapsed_ns;
	}
	while (wait(NULL) > 0)
		;
	printf("%llu %llu %llu\n", all.units, all.elapsed_ns, all.cpu_ns);
	return 0;
}
