"""The stage: a small Python process whose descendants are all that the probe under test may see.

Started before Lanner, which is scoped to it by `--scope-pid`. Reads one JSON object a line: `argv`,
and optionally `tty` (run on a pseudo terminal), `stdin` (text typed into the program), `cwd`.
Answers with one JSON object a line: `pid`, `returncode`, `output` (stdout and stderr).
"""

import json
import os
import pty
import subprocess
import sys
import time

TTY_SECONDS = 60


def run_plain(command):
    """Run with pipes."""
    process = subprocess.Popen(
        command["argv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=command.get("cwd"),
    )
    output, _ = process.communicate(command.get("stdin", "").encode())
    return process.pid, process.returncode, output


def run_on_terminal(command):
    """Run as leader of a session on a pseudo terminal; `stdin` is typed at once."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            if command.get("cwd"):
                os.chdir(command["cwd"])
            os.execvp(command["argv"][0], command["argv"])
        finally:
            os._exit(127)
    os.write(terminal, command.get("stdin", "").encode())
    output = b""
    deadline = time.monotonic() + TTY_SECONDS
    while time.monotonic() < deadline:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the last program closed the terminal
            break
        if not chunk:
            break
        output += chunk
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return pid, os.waitstatus_to_exitcode(status), output


def main():
    """Serve commands until the input ends."""
    for line in sys.stdin:
        command = json.loads(line)
        try:
            run = run_on_terminal if command.get("tty") else run_plain
            pid, returncode, output = run(command)
        except OSError as error:
            pid, returncode, output = -1, -1, str(error).encode()
        answer = {"pid": pid, "returncode": returncode, "output": output.decode(errors="replace")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
