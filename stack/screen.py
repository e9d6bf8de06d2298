"""What the person at the terminal sees: bars in a terminal, lines in a file."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from stack.feed import Step

LINE_EVERY_S: Final = 5.0


@dataclass
class _Work:
    """One bar: a stage of a command."""

    first_done: float
    first_time: float
    task: TaskID | None = None
    said: float = 0.0
    last: str = ""


@dataclass
class Screen:
    """Says what happens, once, in the order in which it happens."""

    console: Console
    started: float = field(default_factory=time.monotonic)
    _works: dict[tuple[str, str], _Work] = field(default_factory=dict)
    _bars: Progress | None = None

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show bars while the block runs, if this is a terminal."""
        if not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[left]}", markup=False),
        )
        with Progress(*columns, console=self.console, transient=True) as self._bars:
            yield
        self._bars = None

    def say(self, text: str, *, style: str = "") -> None:
        """One line, with the time since the start."""
        self.console.print(
            f"{time.monotonic() - self.started:6.0f} s  {text}",
            style=style or None,
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def step(self, step: Step) -> None:
        """A step of a command: moves its bar, or says a line now and then."""
        work = self._works.setdefault(
            (step.command, step.stage), _Work(step.done or 0.0, step.time)
        )
        left = time_left(step, first_done=work.first_done, first_time=work.first_time)
        is_last = step.total is not None and step.done is not None and step.done >= step.total
        if self._bars is not None:
            self._move(work, step, left, is_last=is_last)
        elif work.last != step.message and (is_last or _is_due(work)):
            self.say(f"  {step.command} · {step.stage}: {step.message}{left}")
            work.said, work.last = time.monotonic(), step.message

    def clear(self) -> None:
        """Take all bars away: what they showed has ended."""
        for work in self._works.values():
            if self._bars is not None and work.task is not None:
                self._bars.remove_task(work.task)
        self._works.clear()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table."""
        shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in columns:
            shown.add_column(name, overflow="fold")
        for row in rows:
            shown.add_row(*row)
        self.console.print()
        self.console.print(shown, markup=False, highlight=False)

    def lines(self, title: str, rows: Sequence[Sequence[str]]) -> None:
        """Names and addresses; never wrapped, so that an address can be clicked."""
        self.console.print(f"\n{title}", markup=False, highlight=False)
        for name, address in rows:
            self.console.print(
                f"  {name:22} {address}", markup=False, highlight=False, soft_wrap=True
            )

    def _move(self, work: _Work, step: Step, left: str, *, is_last: bool) -> None:
        bars = self._bars
        if bars is None:
            return
        text = f"{step.command} · {step.stage}: {step.message}"
        if work.task is None:
            work.task = bars.add_task(text, total=step.total, left=left)
        bars.update(work.task, description=text, completed=step.done or 0, total=step.total)
        bars.update(work.task, left=left)
        if is_last:
            self.say(f"  {text}")
            bars.remove_task(work.task)
            del self._works[(step.command, step.stage)]


def _is_due(work: _Work) -> bool:
    return time.monotonic() - work.said >= LINE_EVERY_S


def time_left(step: Step, *, first_done: float, first_time: float) -> str:
    """How long the rest takes at the speed so far, as text; empty if nobody can know.

    Example:
        >>> step = Step("train", "sequence", "loss 3.2", done=30, total=90, time=110.0)
        >>> time_left(step, first_done=10, first_time=100.0)
        ', 30 s left'
    """
    if step.done is None or step.total is None or step.done <= first_done:
        return ""
    if step.message.endswith(" left"):  # the command knows better
        return ""
    seconds = (step.time - first_time) / (step.done - first_done) * (step.total - step.done)
    return f", {seconds:.0f} s left" if seconds >= 1 else ""
