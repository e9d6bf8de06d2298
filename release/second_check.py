"""The second check: the bundle itself, on the real server, must answer what the pipeline answered.

The gate judged files in this process; this asks the exported archive, imported into a home of its
own and served from an empty folder. Whatever was lost on the way (a file, a dependency, a setting)
shows here, before anybody is served.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from domain.errors import PromotionRefusedError
from release.bundle import BundleError, import_bundle
from release.server import serving

logger = logging.getLogger(__name__)

SCORE_TOLERANCE: Final = 1e-2
"""Scores hold features of the moment ("days since"), and the moment has moved on meanwhile."""
_OF_THE_MOMENT: Final = ("request_id", "now")


def check(
    bundle: Path, goldens: Sequence[Mapping[str, Any]], *, online_store: str, scratch: Path
) -> int:
    """Boot the bundle and replay the golden requests; returns how many were replayed.

    Raises:
        PromotionRefusedError: If the server does not start, or answers something else.
    """
    if not goldens:
        raise PromotionRefusedError("second check: there are no golden requests to replay")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    settings = {"VITRINE_ONLINE_STORE": online_store, "VITRINE_HOME": str(scratch / "shop")}
    try:
        tag = import_bundle(bundle, home=scratch / "home")
        with serving(
            tag, home=scratch / "home", log=scratch / "server.log", settings=settings
        ) as server:
            for golden in goldens:
                status, answer = server.post(golden["path"], golden["body"])
                _require_same(golden, status, answer)
    except BundleError as error:
        raise PromotionRefusedError(f"second check: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    logger.info("second check: %d golden requests answered the same", len(goldens))
    return len(goldens)


def _require_same(golden: Mapping[str, Any], status: int, answer: Mapping[str, Any]) -> None:
    difference = f"status {status}: {answer}" if status != 200 else _first_difference(
        _lasting(golden["answer"]), _lasting(answer), "answer"
    )  # fmt: skip
    if difference:
        raise PromotionRefusedError(
            f"second check: {golden['path']} {golden['body']} answered otherwise: {difference}"
        )


def _lasting(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in _OF_THE_MOMENT}


def _first_difference(expected: Any, got: Any, where: str) -> str:
    """Where two answers differ, as a sentence; empty if nowhere."""
    if isinstance(expected, float) and isinstance(got, int | float):
        is_near = abs(expected - got) <= SCORE_TOLERANCE * max(1.0, abs(expected))
        return "" if is_near else f"{where}: expected {expected}, got {got}"
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        parts = (_first_difference(expected[key], got[key], f"{where}.{key}") for key in expected)
        return next(filter(None, parts), "")
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True))
        parts = (_first_difference(a, b, f"{where}[{at}]") for at, (a, b) in pairs)
        return next(filter(None, parts), "")
    return "" if expected == got else f"{where}: expected {expected!r}, got {got!r}"
