"""The last lines of ``vitrine up``: what took how long, and how much memory it needed."""

from rich.console import Console

from stack.screen import Screen
from stack.up import GIB, Outcome

SHOWN_TASK_S = 5.0


def show(outcome: Outcome, *, console: Console) -> None:
    """Seconds by stage and by task, and the peak of all processes' resident memory."""
    screen = Screen(console)
    rows = [[name, f"{seconds:7.1f} s"] for name, seconds in outcome.seconds.items()]
    rows.append(["all", f"{sum(outcome.seconds.values()):7.1f} s"])
    screen.table("Seconds by stage", ["stage", "time"], rows)
    slow = {name: s for name, s in outcome.tasks.items() if s >= SHOWN_TASK_S}
    if slow:
        screen.table(
            f"Tasks of {SHOWN_TASK_S:.0f} s or more",
            ["task", "time"],
            [[name, f"{seconds:7.1f} s"] for name, seconds in slow.items()],
        )
    console.print(
        f"\npeak resident memory of all processes: {outcome.peak_bytes / GIB:.1f} GiB",
        highlight=False,
    )
    if outcome.restarts:
        console.print(f"services that had to be started again: {outcome.restarts}")
