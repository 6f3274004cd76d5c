"""Which memory every array of a region gets: taken over, in place, or in the arena.

When all steps are known, so is the last step that reads each root. A step that allows it writes
over an array that dies there; an output is made in the output's own memory, or in that of the
argument which it updates; what remains gets a place in the arena, shared by roots that do not live
at the same time (first fit). What runs side by side (beside.py) has no order: no step writes over
what one beside it touches, and only what is of one member shares memory in turn.
"""

from __future__ import annotations

from bisect import insort

from chainrule.compiler.beside import Window, side_by_side
from chainrule.compiler.epilogues import with_epilogues
from chainrule.compiler.layout import contiguous
from chainrule.compiler.rows import Rows, rows_together
from chainrule.compiler.schedule import Schedule
from chainrule.compiler.steps import Control, Group, Keep, Ref, Root, Step
from chainrule.program.program import Operand

_ALIGN = 64
_MORE = 1 << 20  # bytes, and a quarter, that the arena may grow for what runs side by side


class Buffers:
    """The memory of one schedule: every root gets its `place`; `arena` is the size in bytes,
    `least` what it would be with every step after the one before.

    `owned` says that the memory of written inputs is the region's own (a loop's carry), so that
    it may be written before the last step that can fail. In a `watched` region every step can.
    Unless `beside`, nothing runs side by side.
    """

    def __init__(self, schedule: Schedule, owned: bool, watched: bool = False,
        beside: bool = True,
    ):  # fmt: skip
        self.schedule, self.owned = schedule, owned
        self.written = schedule.written
        self.claims: dict[Root, tuple[str, int]] = {}
        self.targets = {schedule.program.inputs[i]: i for i in self.written.values()}
        self.outputs = [self._output(k, o) for k, o in enumerate(schedule.program.outputs)]
        values = [o for o in self.outputs if isinstance(o, Ref)]
        self.steps: list[Step] = (
            schedule.steps if watched else with_epilogues(schedule, values)
        )
        for step in self.steps:
            step.prepare()
        self.rows = [] if watched else rows_together(self.steps)
        self.rows_of: dict[Step, Rows] = {p: rows for rows in self.rows for p in rows.parts}
        self._find_units()
        self.windows = side_by_side(self.units) if beside and not watched else []
        self.window_of = {s: w for w in self.windows for s in w.number_of}
        self.window_at = {s.number: w for s, w in self.window_of.items()}
        self._find_uses()
        fallible = [s.number for s in self.steps if watched or s.fallible()]
        self.last_fallible = max(fallible, default=-1) + watched
        self.planned = len(self.steps)  # copies of outputs come behind
        for step in self.steps:
            self._settle_all(step)
        self._place_claims()
        self._finish_outputs()
        self.arena = self._arranged()
        self.steps = self._joined()

    # --- outputs ----------------------------------------------------------------------------------

    def _output(self, k: int, var: Operand):
        """The array or number of an output; a claim on the memory it belongs in."""
        schedule = self.schedule
        known = schedule.constant(var)
        if known is not None:
            return known
        ref = schedule.array(var)
        target = ("input", self.written[k]) if k in self.written else ("output", k)
        if ref.whole and ref.root.place is None and ref.root not in self.claims:
            self.claims[ref.root] = target
        return ref

    def _finish_outputs(self) -> None:
        """Copies, at the end, of the outputs that are not where they belong."""
        late: list[tuple[object, Ref]] = []
        for k, (var, value) in enumerate(
            zip(self.schedule.program.outputs, self.outputs, strict=True)
        ):
            place = ("input", self.written[k]) if k in self.written else ("output", k)
            if isinstance(value, Ref) and value.whole and value.root.final.place == place:
                continue
            target = Ref(Root(var.type.nbytes, place), var.type, contiguous(var.type.shape))
            late.append((self._safe(value, place), target))
        for source, target in late:
            self._copy(source, target)

    def _safe(self, value, place):
        """The value, or a copy of it where an output's copy may be written over it before."""
        if not isinstance(value, Ref):
            return value
        where = value.root.final.place
        if where is None or where[0] != "input" or where[1] not in self.written.values():
            return value
        if where == place and value.contiguous and value.lie.offset == 0:
            return value
        target = Ref(Root(value.type.nbytes), value.type, contiguous(value.type.shape))
        self._copy(value, target)
        return target

    def _copy(self, source, target: Ref) -> None:
        number = len(self.steps)
        self.steps.append(Group(number, None, target.type.shape, copies=[(source, target)]))
        self.steps[-1].prepare()
        if isinstance(source, Ref):
            root = source.root.final
            self.last_use[root] = number
        root = target.root
        self.first_use.setdefault(root, number)
        self.last_use[root] = number

    # --- lifetimes --------------------------------------------------------------------------------

    def _find_uses(self) -> None:
        self.last_use: dict[Root, int] = {}
        self.first_use: dict[Root, int] = {}
        self.writers: dict[Root, list[Step]] = {}
        for step in self.steps:
            for ref in step.reads():
                self.last_use[ref.root] = step.number
            for root in step.writes():
                self.first_use.setdefault(root, step.number)
                self.last_use[root] = step.number
                self.writers.setdefault(root, []).append(step)
        for value in self.outputs:
            if isinstance(value, Ref):
                self.last_use[value.root] = len(self.steps)

        self.users: dict[Root, set[tuple[Window, int]]] = {}  # in windows, by member
        for step, window in self.window_of.items():
            for root in [*(r.root for r in step.reads()), *step.writes()]:
                user = window, window.number_of[step]
                self.users.setdefault(root.final, set()).add(user)

    def _settle_all(self, step: Step) -> None:
        """Give roots that this step makes the memory of those that die here, where that is right.

        One step may update hundreds of arrays (an optimizer's): what it reads is sorted once, and
        the cheap reasons against a source are asked first.
        """
        made = [
            root for root in dict.fromkeys(step.writes())
            if root.place is None and root.into is None and self.first_use[root] == step.number
        ]  # fmt: skip
        sources = _sources(step)
        moving = any(root in sources for root in made)  # it reads what it makes
        for root in made:
            self._settle(step, root, _sources(step) if moving else sources)

    def _settle(self, step: Step, root: Root, sources: dict[Root, set[Root]]) -> None:
        claim = self.claims.get(root)
        for source, read in sources.items():
            if self._can_take(step, root, source, claim) and all(
                step.may_share(root, r) for r in read
            ):
                self._take(root, source, claim)
                return
        if claim is not None and claim[0] == "input":
            self._claim_target(step, root, claim)

    def _can_take(self, step: Step, root: Root, source: Root, claim) -> bool:
        if source is root or source.nbytes != root.nbytes:
            return False
        if source.place is None:
            if not self._claims_agree(claim, self.claims.get(source)):
                return False
        elif claim != source.place and not isinstance(step, Keep):
            return False
        if self._read_after(source, step.number) or self._moves_in_rows(step, source):
            return False
        if self._touched_beside(step, source):
            return False
        if source.place is None:
            return True
        if source.place[0] != "input" or source.place[1] not in self.written.values():
            return False
        return self._may_overwrite(root)

    def _claims_agree(self, mine, theirs) -> bool:
        if mine is not None and mine[0] == "input":
            return False  # it would have to be copied to the argument in the end
        return theirs is None or mine is None or mine == theirs

    def _may_overwrite(self, root: Root) -> bool:
        """Whether an argument's memory may be written by the steps that write this root."""
        if self.owned:
            return True
        return not any(map(self._can_fail_beside, self.writers[root])) and all(
            s.number >= self.last_fallible and not (isinstance(s, Control) and s.fallible())
            for s in self.writers[root]
            if not isinstance(s, Keep)  # which has nothing to write then
        )

    def _can_fail_beside(self, step: Step) -> bool:
        """Whether a step can fail that runs beside this one."""
        window = self.window_of.get(step)
        if window is None:
            return False
        own = window.number_of[step]
        return any(s.fallible() for s, number in window.number_of.items() if number != own)

    def _touched_beside(self, step: Step, root: Root) -> bool:
        """Whether this memory is touched by what runs beside a step."""
        window = self.window_of.get(step)
        if window is None:
            return False
        own = window.number_of[step]
        return any(w is window and number != own for w, number in self.users.get(root, ()))

    def _take(self, root: Root, source: Root, claim) -> None:
        root.into = source
        self.last_use[source] = max(self.last_use[source], self.last_use[root])
        self._same_memory(root, source)
        if source.place is None and claim is not None:
            self.claims[source] = claim

    def _same_memory(self, root: Root, source: Root) -> None:
        users = self.users.setdefault(source, set())
        users |= self.users.get(root, set())

    def _moves_in_rows(self, step: Step, root: Root) -> bool:
        """Whether this memory is touched out of its rows by what is done row by row."""
        rows = self.rows_of.get(step)
        return rows is not None and not rows.keeps_to_rows(root)

    def _read_after(self, root: Root, number: int) -> bool:
        return self.last_use.get(root, -1) > number

    def _claim_target(self, step: Step, root: Root, claim) -> None:
        """An argument's memory for a root that updates it, if nobody reads it from here on."""
        target = self._input_root(claim[1])
        if target is None:
            return
        reads_it = any(ref.root.final is target for ref in step.reads())
        if reads_it or self._read_after(target, step.number) or not self._may_overwrite(root):
            return
        if self._moves_in_rows(step, target) or self._moves_in_rows(step, root):
            return
        if self._touched_beside(step, target):
            return
        self._same_memory(root, target)
        root.into = target
        self.last_use[target] = max(self.last_use.get(target, -1), self.last_use[root])

    def _input_root(self, number: int) -> Root | None:
        ref = self.schedule.refs.get(self.schedule.program.inputs[number])
        return ref.root if ref is not None and ref.whole else None

    def _place_claims(self) -> None:
        """Outputs are made in their own memory."""
        for root, claim in self.claims.items():
            if root.into is None and root.place is None and claim[0] == "output":
                root.place = claim

    def _find_units(self) -> None:
        """The steps, with one for those that are done together."""
        self.units: list[Step] = [
            self.rows_of.get(step, step) for step in self.steps
            if not (isinstance(step, Group) and step.is_empty)
            and (step not in self.rows_of or step is self.rows_of[step].parts[-1])
        ]  # fmt: skip

    def _joined(self) -> list[Step]:
        """The steps as they run: those done together are one, members follow each other."""
        units: list[Step] = []
        started: set[Window] = set()
        known = set(self.units)
        late = [s for s in self.steps if s not in known and s.number >= self.planned]
        for unit in [*self.units, *late]:
            window = self.window_of.get(unit)
            if window is None:
                units.append(unit)
            elif window not in started:
                started.add(window)
                units += [s for member in window.members for s in member]
        return units

    # --- the arena --------------------------------------------------------------------------------

    def _arranged(self) -> int:
        """The size of the arena; where running side by side makes it much larger, nothing does."""
        self.least = self._arrange([])
        if not self.windows:
            return self.least
        size = self._arrange(self.windows)
        if size <= self.least + self.least // 4 + _MORE:
            return size
        self.windows, self.window_of = [], {}
        return self._arrange([])

    def _arrange(self, windows: list[Window]) -> int:
        """Offsets for the roots that have no memory of another; the size of the arena."""
        last = self._last_needed()
        roots = [
            r for r in self.first_use
            if r.into is None and (r.place is None or r.place[0] == "arena")
        ]  # fmt: skip
        roots.sort(key=lambda r: (self.first_use[r], -r.nbytes))
        ends = self._ends(windows)
        living: list[tuple[int, int, int, Root]] = []  # offset, end, last use
        size = 0
        for root in roots:
            now = self.first_use[root]
            living = [e for e in living if ends.get(e[2], e[2]) >= now]
            taken = living
            if windows:
                taken = [e for e in living if e[2] >= now or self._beside(e[3], e[2], root, now)]
            offset = _first_fit([(start, end) for start, end, _, _ in taken], root.nbytes)
            root.place = ("arena", offset)
            end = offset + -(-max(root.nbytes, 1) // _ALIGN) * _ALIGN
            insort(living, (offset, end, last[root], root), key=_start)
            size = max(size, end)
        return size

    def _ends(self, windows: list[Window]) -> dict[int, int]:
        """For each step of a window, by number, the window's last one."""
        found: dict[int, int] = {}
        for window in windows:
            found.update({s.number: window.last for s in window.number_of})
        return found

    def _beside(self, dead: Root, number: int, root: Root, now: int) -> bool:
        """Whether memory last used at a step may be in use where another root is made: both in one
        window, and not in the same member."""
        window = self.window_at.get(number)
        if window is None or self.window_at.get(now) is not window:
            return False
        users = self.users.get(dead, set()) | self.users.get(root, set())
        return len({n for w, n in users if w is window}) > 1

    def _last_needed(self) -> dict[Root, int]:
        """The step until which memory must be there: what is done together needs all of it until
        the last of its kernels is done."""
        end = {p.number: rows.parts[-1].number for rows in self.rows for p in rows.parts}
        return {root: end.get(n, n) for root, n in self.last_use.items()}


def _sources(step: Step) -> dict[Root, set[Root]]:
    """The roots that a step reads, by the root whose memory they are."""
    found: dict[Root, set[Root]] = {}
    for ref in step.reads():
        found.setdefault(ref.root.final, set()).add(ref.root)
    return found


def _start(entry: tuple) -> int:
    return entry[0]


def _first_fit(living: list[tuple[int, int]], nbytes: int) -> int:
    """The lowest offset at which so many bytes are free; `living` is in order."""
    offset = 0
    for start, end in living:
        if start - offset >= nbytes:
            return offset
        offset = max(offset, end)
    return offset


