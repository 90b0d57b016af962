"""Twins: two Lanners that watch the same actor, one with pushdown and one without.

Whatever rules are loaded, both must raise the same alerts with the same output fields.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from exporter.app.reported_calls import calls_for
from exporter.pushdown.analysis import analyse
from exporter.pushdown.ir import FALSE, TRUE
from exporter.rules.loader import RulesSource, load_rules
from tests.fuzz.twins.conditions import VOLATILE, RandomRule
from tests.fuzz.twins.sentinel import Sentinel
from tests.integration.containers import Container
from tests.integration.live import Lanner, wait_until

ACTOR, WALLS, KEEPER = (Path(__file__).with_name(f"{n}.py") for n in ("actor", "walls", "keeper"))
ADDRESSES = ("10.1.2.3/32", "203.0.113.5/32", "2001:db8::5/128")
_CONFIG = "rule_matching: all\nprobe: {ring_size: 64MiB}\ncontainers: {hold: 0s}\n"
_CAPABILITIES = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,net_bind_service,net_raw"
_MARK = "all has come"
_SECONDS = 120

Alerts = Counter[tuple[str, str]]
"""(rule, output fields as JSON) -> how often."""


class LossError(Exception):
    """Events were lost, so alerts cannot be compared."""


class _ActorBox(Container):
    """A container in which the actor can run; but for the scenes' directory it is read-only."""

    def __init__(self, directory: Path, stage: Path) -> None:
        self._stage = stage
        super().__init__(directory)

    def _build_root(self) -> None:
        super()._build_root()
        for name, target in (("lib", "usr/lib"), ("lib64", "usr/lib64")):
            (self.root / name).symlink_to(target)
        (self.root / str(self._stage).lstrip("/")).mkdir(parents=True)
        for script in (ACTOR, WALLS):
            shutil.copy(script, self.root)

    def _spec(self, argv: tuple[str, ...], *, tty: bool, uid: int) -> dict[str, Any]:
        spec: dict[str, Any] = super()._spec(argv, tty=tty, uid=uid)
        kept = [f"CAP_{name.upper()}" for name in _CAPABILITIES.split(",")]
        spec["process"]["capabilities"] = dict.fromkeys(
            ("bounding", "effective", "permitted"), kept
        )
        spec["root"]["readonly"] = True
        spec["mounts"] = [
            _mount("/proc", "proc", "proc", "ro"),
            _mount("/dev", "tmpfs", "tmpfs", "ro"),
            _mount("/usr", "bind", "/usr", "bind", "ro"),
            _mount(str(self._stage), "tmpfs", "tmpfs"),
        ]
        return spec


def _mount(target: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


class Twins:
    """The actors and the two Lanners. directory: where scenes play; must be new.

    flags: options of each instance.
    """

    def __init__(
        self,
        directory: Path,
        *,
        flags: Sequence[Sequence[str]] = ((), ("--no-pushdown",)),
        config: str = _CONFIG,
    ) -> None:
        self.stage = directory / "s"
        """Where scenes play."""
        self._rules = directory / "rules.yaml"
        self._rules.write_text(self._with_mark(""))
        self._marks = 0
        self._sentinel = Sentinel()
        self._keeper = subprocess.Popen(
            ["/usr/bin/python3", "-I", "-S", str(KEEPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # Processes older than both: what is known of those differs from what the probe tells.
        self._start("walled", self._walled(_CAPABILITIES))
        self._start("bare", self._walled(f"{_CAPABILITIES},sys_admin,sys_chroot"))
        self.lanners: list[Lanner] = []
        for number, options in enumerate(flags):
            place = directory / f"lanner-{number}"
            place.mkdir()
            scope = ("--json", "--scope-pid", str(self._keeper.pid), "-r", str(self._rules))
            self.lanners.append(Lanner(place, *scope, *options, config=config))
        self._lost = [0.0] * len(self.lanners)
        self._box = _ActorBox(directory, self.stage)

    def _walled(self, capabilities: str) -> list[str]:
        addresses = "".join(f" && ip addr add {address} dev lo" for address in ADDRESSES)
        python = f"/usr/bin/python3 -I -S {WALLS} {self.stage} {capabilities} {ACTOR}"
        setup = f"ip link set lo up{addresses} && exec {python}"
        own = ("--net", "--mount", "--ipc", "--uts", "--pid", "--fork")
        return ["unshare", *own, "sh", "-c", setup]

    def _start(self, name: str, command: Sequence[str]) -> None:
        answer = self._ask({"start": name, "command": command})
        assert answer == "ready", f"the actor {name} did not start: {answer}"

    def __enter__(self) -> Self:
        for lanner in self.lanners:
            lanner.wait_ready()
        inside = ("/usr/bin/python3", "-I", "-S", "/actor.py", str(self.stage), _CAPABILITIES)
        self._start("box", self._box.command(*inside))
        return self

    def __exit__(self, *_: object) -> None:
        for lanner in self.lanners:
            lanner.kill()
        with self._keeper as keeper:
            assert keeper.stdin
            keeper.stdin.close()
        self._box.remove()

    def _ask(self, request: Mapping[str, Any]) -> str:
        assert self._keeper.stdin
        assert self._keeper.stdout
        self._keeper.stdin.write(json.dumps(request) + "\n")
        self._keeper.stdin.flush()
        return self._keeper.stdout.readline().strip()

    def play(self, scenes: Iterable[Mapping[str, Any]]) -> None:
        """Perform scenes, one after the other. Raises AssertionError when one reached the machine.

        where: `walled`, `bare` (with namespaces to play with) or `box` (a container).
        """
        for scene in scenes:
            answer = self._ask({"play": scene["where"], "scene": scene})
            assert answer == "done", f"the actor ended: {answer}"
            self._sentinel.check(scene)

    def load(self, rules: Sequence[RandomRule]) -> None:
        """Have both match these rules from now on."""
        self.load_text("".join(rule.text() for rule in rules))

    def load_text(self, text: str) -> None:
        """The same for rules as the text of a rules file."""
        self._rules.write_text(self._with_mark(text))
        answers: list[tuple[int, str]] = []

        def reload(lanner: Lanner) -> None:
            answers.append(lanner.fetch("/-/reload", method="POST"))

        threads = [threading.Thread(target=reload, args=(lanner,)) for lanner in self.lanners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        said = [line for lanner in self.lanners for line in lanner.log[-20:]]
        assert all(status == 200 for status, _ in answers), "\n".join([str(answers), *said])
        # What comes before may have been matched by the old rules.
        self._lines_to_mark()

    def _with_mark(self, text: str) -> str:
        mark = {
            "rule": _MARK,
            "desc": "the last event of a round",
            "condition": f"evt.type = openat and fd.name startswith {self.stage}-mark",
            "output": "%fd.name",
            "priority": "NOTICE",
        }
        return f"- {json.dumps(mark)}\n{text}"

    def collect(self) -> list[Alerts]:
        """The alerts of each since the rules were loaded. Raises LossError."""
        alerts = [_counted(lines) for lines in self._lines_to_mark()]
        lost = [lanner.total("lanner_events_dropped_total", default=0) for lanner in self.lanners]
        for lanner in self.lanners:
            failed = lanner.total("lanner_event_errors_total", default=0)
            assert not failed, "\n".join(line for line in lanner.log if "error" in line)
        if lost != self._lost:
            self._lost = lost
            raise LossError(f"events were lost: {lost}")
        return alerts

    def _lines_to_mark(self) -> list[list[str]]:
        """Lines of each since the last mark up to a new one, which comes after all of them."""
        self._marks += 1
        mark = f"{self.stage}-mark{self._marks}."
        self._ask({"mark": mark})
        return [self._take(at, mark) for at in range(len(self.lanners))]

    def _take(self, at: int, mark: str) -> list[str]:
        lanner = self.lanners[at]
        taken: list[str] = []

        def has_come() -> bool:
            assert lanner.process.poll() is None, "\n".join(lanner.log[-20:])
            # Only we take lines away, and the reader adds them behind.
            new = [line for _, line in lanner.lines[:]]
            end = next((number for number, line in enumerate(new) if mark in line), None)
            taken.extend(new[:end])
            del lanner.lines[: len(new) if end is None else end + 1]
            return end is not None

        wait_until(has_come, _SECONDS, "the mark")
        return taken

    def differences(
        self, rules: Sequence[RandomRule], scenes: Iterable[Mapping[str, Any]]
    ) -> tuple[Alerts, Alerts]:
        """What only the first raises, and only the second, on these rules and scenes."""
        self.load(rules)
        self.play(scenes)
        first, second = self.collect()
        return first - second, second - first

    def total(self, stage: str) -> list[float]:
        """Events of each that reached a stage."""
        return [
            lanner.total("lanner_events_total", stage=stage, default=0) for lanner in self.lanners
        ]


def _counted(lines: Iterable[str]) -> Alerts:
    found: Alerts = Counter()
    for line in lines:
        alert = json.loads(line)
        if alert["rule"] == _MARK:
            continue
        fields = {
            name: value
            for name, value in alert["output_fields"].items()
            if not name.startswith(VOLATILE)
        }
        found[alert["rule"], json.dumps(fields, sort_keys=True)] += 1
    return found


def loadable(rules: Iterable[RandomRule]) -> list[RandomRule]:
    """Those that Lanner accepts: not every operator suits every field and value."""
    return [
        rule
        for rule in rules
        if load_rules([RulesSource("random.yaml", rule.text().encode())]).successful
    ]


def filters(rule: RandomRule) -> bool:
    """Whether the kernel could leave out any event because of this rule alone."""
    ruleset = load_rules([RulesSource("random.yaml", rule.text().encode())]).ruleset
    return any(
        not one.is_pass_through and one.predicate not in (TRUE, FALSE)
        for one in analyse(ruleset, calls_for(ruleset)).values()
    )


def say(text: str) -> None:
    """A line to standard error."""
    print(text, file=sys.stderr, flush=True)
