"""Root of the process tree that the twins watch: starts actors, passes scenes on, sets marks.

Plays nothing itself, for it runs on the machine without walls. Reads JSON objects, one a line:
`start` a name and `command`, an actor that answers when it is ready; `play` a name and `scene`;
`mark` a file to open, so that the end of what was done can be seen. Answers each with one line.
"""

import json
import os
import subprocess
import sys
from typing import Any


def ask(actor, scene):
    """Have an actor play a scene; what it answers."""
    actor.stdin.write(json.dumps(scene) + "\n")
    actor.stdin.flush()
    return actor.stdout.readline().strip()


def main():
    """Serve until the input ends, then end the actors."""
    actors: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer = "done"
        if "start" in request:
            actors[request["start"]] = actor = subprocess.Popen(
                request["command"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert actor.stdout
            answer = actor.stdout.readline().strip()
        elif "play" in request:
            answer = ask(actors[request["play"]], request["scene"])
        elif "mark" in request:
            os.close(os.open(request["mark"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC))
            os.unlink(request["mark"])  # noqa: PTH108
        print(answer, flush=True)
    for actor in actors.values():
        actor.stdin.close()
        actor.wait()


if __name__ == "__main__":
    main()
