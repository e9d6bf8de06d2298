"""In a terminal bars, in a file lines; text from elsewhere is never markup."""

import io

from rich.console import Console

from stack.feed import Step
from stack.screen import Screen


def _screen(*, is_terminal: bool = False) -> tuple[Screen, io.StringIO]:
    written = io.StringIO()
    return Screen(Console(file=written, force_terminal=is_terminal, width=100)), written


def _step(message: str, done: float | None, time: float = 0.0) -> Step:
    return Step("train", "sequence", message, done=done, total=100, time=time)


def test_a_file_gets_the_first_and_the_last_step_and_few_between() -> None:
    screen, written = _screen()

    for done in range(1, 101):
        screen.step(_step(f"loss {done}", done, time=done * 1.0))

    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert "loss 1" in lines[0]
    assert "loss 100" in lines[1]


def test_the_time_left_follows_from_the_speed_so_far() -> None:
    screen, written = _screen()
    screen.step(_step("loss 9.0", 10, time=100.0))
    screen._works["train", "sequence"].said = float("-inf")

    screen.step(_step("loss 4.0", 20, time=110.0))  # 10 steps in 10 s, 80 to go

    assert written.getvalue().splitlines()[-1].endswith("loss 4.0, 80 s left")


def test_brackets_in_a_title_are_shown_as_they_are() -> None:
    screen, written = _screen()

    screen.say("done [/red] [b]")
    screen.table("window", ["item"], [["A [b]mug[/b] [/]"]])

    assert "done [/red] [b]" in written.getvalue()
    assert "A [b]mug[/b] [/]" in written.getvalue()


def test_a_terminal_sees_a_bar_move() -> None:
    screen, written = _screen(is_terminal=True)

    with screen.live():
        screen.step(_step("loss 2.5", 40))
        screen.step(_step("loss 1.5", 100))
        screen.clear()

    assert "loss 1.5" in written.getvalue()


def test_an_address_is_never_wrapped() -> None:
    screen, written = _screen()
    address = "http://127.0.0.1:3001/reports/" + "x" * 200 + "/report.html"

    screen.lines("The shop is up", [["report of the release", address]])

    assert address in written.getvalue()
