"""A process that the kernel tests watch: forks a child for each request and has it do the work.

Run as a script. Reads lines from stdin: JSON of Python source to run in a fresh child; prints
"<pid> <json of the results>" when the child has ended. Nothing here imports Lanner.
"""

import json
import os
import socket
import sys
from typing import Any


def run(source: str) -> str:
    """Run the source in a forked child; its `out` dict comes back as JSON."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        out: dict[str, Any] = {}
        scope: dict[str, Any] = {"os": os, "socket": socket, "sys": sys, "out": out}
        try:
            exec(source, scope)
        except BaseException as error:  # noqa: BLE001
            out["error"] = repr(error)
        os.write(writing, json.dumps(out).encode())
        os._exit(int(out.get("exit", 0)))
    os.close(writing)
    chunks = []
    while chunk := os.read(reading, 65536):
        chunks.append(chunk)
    os.close(reading)
    os.waitpid(pid, 0)
    return f"{pid} {b''.join(chunks).decode()}"


def main() -> None:
    """Serve requests until stdin ends."""
    for line in sys.stdin:
        sys.stdout.write(run(json.loads(line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
