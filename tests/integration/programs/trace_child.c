/*
 * trace_child attach: takes control of a running child with PTRACE_ATTACH and lets it go.
 * trace_child traceme: the child asks to be traced itself, as a debugger starts programs.
 */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int attach = argc > 1 && !strcmp(argv[1], "attach");
	pid_t child = fork();

	if (child == 0) {
		if (!attach)
			ptrace(PTRACE_TRACEME, 0, 0, 0);
		else
			pause();
		_exit(0);
	}
	if (attach) {
		if (ptrace(PTRACE_ATTACH, child, 0, 0))
			return 1;
		waitpid(child, NULL, 0);
		ptrace(PTRACE_DETACH, child, 0, 0);
		kill(child, SIGKILL);
	}
	return waitpid(child, NULL, 0) == child ? 0 : 1;
}
