/* run_from_memory PROGRAM ARGS...: copies the program into a memfd and executes it from there. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv, char **env)
{
	char buffer[65536];
	ssize_t got;
	int from = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int to = memfd_create("stage", MFD_CLOEXEC);

	if (from < 0 || to < 0)
		return 2;
	while ((got = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, got) != got)
			return 2;
	fexecve(to, argv + 1, env);
	perror("fexecve");
	return 1;
}
