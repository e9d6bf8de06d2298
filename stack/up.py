"""One ``vitrine up``: check, boot, run the pipeline, serve, ask, stay, end."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from uuid import uuid4

from rich.console import Console

from domain.errors import VitrineError
from domain.settings import Settings, remember_shop
from stack import addresses, boot
from stack.environment import process_environment
from stack.feed import Feed
from stack.follow import Follower
from stack.journey import Journey
from stack.ports import require_free, wanted_ports
from stack.screen import Screen
from stack.services import address, reading_services, storefront_service
from stack.span import require_source, source_span
from stack.supervisor import Service, Supervisor
from stack.timing import Stages
from stack.window import Window, dress

GIB = 2**30


@dataclass
class Outcome:
    """What a run of the shop came to. ``error`` is None if all went well."""

    seconds: dict[str, float]
    peak_bytes: int = 0
    window: Window | None = None
    error: str | None = None
    restarts: int = 0
    tasks: dict[str, float] = field(default_factory=dict)


def bring_up(settings: Settings, *, once: bool, console: Console) -> Outcome:
    """Run the whole shop; with ``once`` until one request is answered, else until Ctrl-C.

    Raises:
        BadInputError: Before anything is started: the source, a port or the home cannot be had.
        KeyboardInterrupt: If it was stopped before the window was dressed; all has ended then.
    """
    screen, stages = Screen(console), Stages()
    environment = process_environment(settings, mark=uuid4().hex)
    supervisor = Supervisor(
        environment=environment,
        logs=settings.root / "logs",
        record=settings.root / "logs" / "up.json",
    )
    outcome = Outcome(seconds=stages.seconds)
    require_source(settings)
    with boot.only_one(settings), _interruptible():
        try:
            if ended := supervisor.open():
                screen.say(f"ended {ended} processes that an earlier run left behind")
            require_free(wanted_ports(settings), host=settings.host)
            _run(settings, supervisor, screen, stages, outcome, once=once)
        finally:
            with _deaf(), stages("stop"):
                supervisor.close()
            outcome.peak_bytes = supervisor.family.peak_bytes
            outcome.restarts = supervisor.restarts
    return outcome


def _run(
    settings: Settings,
    supervisor: Supervisor,
    screen: Screen,
    stages: Stages,
    outcome: Outcome,
    *,
    once: bool,
) -> None:
    with stages("look at the source"):
        span = source_span(settings, environment=supervisor.environment)
    remember_shop(settings)
    screen.say(f"the shop: {settings.source}, last day {span.last}; state in {settings.root}")
    try:
        with screen.live():
            with stages("boot Airflow"):
                api = boot.boot_airflow(settings, supervisor)
            screen.say(f"Airflow is up: {addresses.airflow(settings)}")
            follower = Follower(
                api, Feed(settings.progress_log), screen, supervisor.require_running
            )
            outcome.tasks = follower.seconds
            _pipeline(Journey(settings, span, api, follower), stages, screen)
            outcome.window = _serve(settings, supervisor, stages)
        _show_window(screen, outcome.window)
    except VitrineError as error:
        outcome.error = str(error)
        screen.say(outcome.error, style="red")
        if once:
            return
        screen.say("Airflow keeps running, so that you can look; Ctrl-C ends it")
    if not once:
        _stay(settings, supervisor, screen)


def _pipeline(journey: Journey, stages: Stages, screen: Screen) -> None:
    steps = {
        "load history": journey.load_history,
        "add the last day": journey.add_last_day,
        "train and release": journey.release,
    }
    for name, step in steps.items():
        with stages(name):
            if not step():
                screen.say(f"{name}: done before")


def _serve(settings: Settings, supervisor: Supervisor, stages: Stages) -> Window:
    with stages("serve"):
        boot.start_and_await(supervisor, storefront_service(settings))
        return dress(address(settings, settings.serve_port))


def _show_window(screen: Screen, window: Window) -> None:
    rows = [
        [
            str(item["rank"]),
            item["title"],
            f"{(item['price_cents'] or 0) / 100:.2f}",
            item["reason"],
        ]
        for item in window.items
    ]
    title = f"The window of user {window.user_id}, dressed by release {window.release_id}"
    screen.table(title, ["", "item", "price", "why"], rows)
    if window.degraded_reason:
        screen.say(f"degraded: {window.degraded_reason}", style="yellow")


def _price(cents: int | None) -> str:
    return "" if cents is None else f"{cents / 100:.2f}"


def _stay(settings: Settings, supervisor: Supervisor, screen: Screen) -> None:
    """Leave everything running until Ctrl-C; what only people read is started now."""
    try:
        for service in reading_services(settings):
            _start_gently(supervisor, service, screen)
        screen.lines("The shop is up", addresses.table(settings))
        screen.say("Ctrl-C ends everything")
        told: set[str] = set()
        while True:
            time.sleep(1.0)
            for name in set(supervisor.given_up) - told:
                told.add(name)
                screen.say(f"{name} does not stay up:\n{supervisor.last_lines(name)}", style="red")
    except KeyboardInterrupt:
        screen.say("ending …")


def _start_gently(supervisor: Supervisor, service: Service, screen: Screen) -> None:
    try:
        boot.start_and_await(supervisor, service)
    except VitrineError as error:
        screen.say(str(error), style="yellow")


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end us the way Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # What was ignored when we were started (nohup) stays ignored.
    heard = [number for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _deaf() -> Iterator[None]:
    """A second Ctrl-C must not stop the ending half way."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
