"""What ``vitrine check --mutate`` says: a line a mutation, a receipt, and a refusal at the end."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from domain.errors import BadInputError, DataQualityError
from domain.receipts import Receipt, Stopwatch
from domain.settings import Settings
from quality.mutations.kinds import Mutation
from quality.mutations.registry import MUTATIONS
from stack.mutate.attempt import Outcome
from stack.mutate.campaign import take_away, try_all
from stack.mutate.good_days import SHOP_NAMES, prepare
from stack.mutate.rules import takeable

Echo = Callable[[str], None]
ALL: Final = "all"


def listing(*, as_json: bool) -> str:
    """The mutations: what is planted, and who must answer how."""
    if as_json:
        return json.dumps([_described(one) for one in MUTATIONS.values()], sort_keys=True)
    return "\n".join(
        f"{one.name:<48} {one.answer:<11} {one.by:<48} {one.plants}" for one in MUTATIONS.values()
    )


def _described(one: Mutation) -> Mapping[str, object]:
    names = ("name", "plants", "where", "answer", "by", "shop", "is_listed")
    return {name: getattr(one, name) for name in names}


def campaign(name: str, settings: Settings, *, ablate: bool, say: Echo | None) -> Receipt:
    """Try one mutation or all; or take every rule away in turn.

    Args:
        name: A mutation, or ``all``.
        settings: Where temporary copies are made.
        ablate: Take each rule away in turn.
        say: Told a line an outcome; None for silence.

    Raises:
        BadInputError: If there is no such mutation.
        VitrineError: If the clean day is refused.
    """
    names = _names(name, ablate=ablate)
    watch, tell = Stopwatch(), say or (lambda _: None)
    settings.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.root, prefix="mutate-") as folder:
        wanted = SHOP_NAMES if name == ALL else (MUTATIONS[name].shop,)
        good = prepare(Path(folder), wanted)
        tell(f"the clean day passes ({watch.seconds:.0f} s)")
        if ablate:
            outcomes = take_away(good, say=lambda one: tell(_told(one, ablate=True)))
            proven = sum(one.is_unseen for one in outcomes)
        else:
            outcomes = try_all(names, good, say=lambda one: tell(_told(one, ablate=False)))
            proven = sum(one.is_caught for one in outcomes)
    details: dict[str, Any] = {
        "asked": "ablate" if ablate else "mutate",
        "proven": proven,
        "outcomes": [asdict(one) | {"is_unseen": one.is_unseen} for one in outcomes],
    }
    key = f"{'ablate' if ablate else 'mutate'}-{name}"
    return Receipt(
        "check", key, len(outcomes), len(outcomes), seconds=watch.seconds, details=details
    )


def refuse_unseen(receipt: Receipt) -> None:
    """Raise if a mutation was not caught, or a rule was not missed.

    Raises:
        DataQualityError: Naming each.
    """
    outcomes: list[dict[str, Any]] = receipt.details["outcomes"]  # type: ignore[assignment]
    if receipt.details["asked"] == "ablate":
        useless = [one["left_out"] for one in outcomes if not one["is_unseen"]]
        if useless:
            raise DataQualityError(f"nobody misses {len(useless)} rules: {', '.join(useless)}")
        return
    unseen = [one["name"] for one in outcomes if not one["is_caught"]]
    if unseen:
        raise DataQualityError(f"{len(unseen)} mutations were not caught: {', '.join(unseen)}")


def _names(name: str, *, ablate: bool) -> list[str]:
    if ablate and name != ALL:
        raise BadInputError(f"--ablate takes all {len(takeable())} rules away: --mutate all")
    if name == ALL:
        return list(MUTATIONS)
    if name not in MUTATIONS:
        raise BadInputError(f"no mutation '{name}': vitrine check --list names them")
    return [name]


def _told(one: Outcome, *, ablate: bool) -> str:
    if ablate:
        verdict = "is missed" if one.is_unseen else f"IS NOT MISSED: {', '.join(one.rules)}"
        return f"{one.left_out:<52} {verdict}: {one.name} ({one.seconds:.1f} s)"
    verdict = "caught" if one.is_caught else "UNSEEN"
    who = f"{one.step}: {', '.join(one.rules)}" if one.step else ", ".join(one.rules) or one.by
    said = "" if one.is_caught else f": {one.said}"
    return f"{verdict}  {one.name:<48} {one.answer:<11} {who} ({one.seconds:.1f} s){said}"
