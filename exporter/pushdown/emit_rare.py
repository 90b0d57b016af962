"""Looking at the task only behind paths that leave it to the task.

A rule that a program's name decides, but for some directories, asks of most paths who opens them.
What such rules ask is little; so of the task only that is read, and only where the path leaves
nothing else to ask.
"""

from collections.abc import Callable

from exporter.pushdown.assembler import Label
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_task import TaskFacts
from exporter.pushdown.facts import Group
from exporter.pushdown.ir import Predicate, groups_of
from exporter.pushdown.simplify import alternatives, any_of, without

Branch = Callable[[Predicate, Label, Label], None]
BranchByTask = Callable[[TaskFacts, Predicate, Label, Label], None]

_TASK = frozenset({Group.TASK})


class RareTask:
    """Writes what decides predicates on the call and the task, each once.

    branch: writes what decides one without the task; branch_by_task: one with facts that were read.
    """

    def __init__(
        self, facts: Facts, branch: Branch, branch_by_task: BranchByTask, maybe: Label, no: Label
    ) -> None:
        self._facts = facts
        self._branch = branch
        self._branch_by_task = branch_by_task
        self._maybe = maybe
        self._no = no
        self._labels: dict[Predicate, Label] = {}

    def branch(self, predicate: Predicate, yes: Label, no: Label) -> None:
        """Go to `yes` or `no`; first by what does not ask for the task."""
        if Group.TASK not in groups_of(predicate):
            self._branch(predicate, yes, no)
            return
        assert (yes, no) == (self._maybe, self._no)
        parts = list(alternatives(predicate))
        asking = any_of(part for part in parts if Group.TASK in groups_of(part))
        others = any_of(part for part in parts if Group.TASK not in groups_of(part))
        self._branch(others, yes, self._labels.setdefault(asking, Label()))

    def finish(self) -> None:
        """Write what was put off."""
        code = self._facts.code
        for predicate, label in self._labels.items():
            code.place(label)
            undecided = Label()
            self._branch(without(predicate, _TASK), undecided, self._no)
            code.place(undecided)
            task = TaskFacts(self._facts, [predicate])
            task.read(self._maybe)
            self._branch_by_task(task, predicate, self._maybe, self._no)
