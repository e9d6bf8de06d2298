"""Write docs/data-rules.md from the rules themselves: ``python -m docs.data_rules_page``.

The text around the tables stands in ``docs/data-rules.head.md``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from quality.mutations.kinds import Mutation
from quality.mutations.registry import MUTATIONS, needing
from quality.tables import SUITES
from stack.mutate.rules import Rule, dbt_tests, expectations, named_rules, quarantine_rules

PAGE: Final = Path(__file__).with_name("data-rules.md")
HEAD: Final = Path(__file__).with_name("data-rules.head.md")


def data_rules_page() -> str:
    """The page's text."""
    return "\n".join([HEAD.read_text(encoding="utf-8").rstrip(), "", *_sections(), ""])


def _sections() -> Iterator[str]:
    listed = [one for one in MUTATIONS.values() if one.is_listed]
    yield from _table(
        "Faults that every shop meets",
        ("fault", "what is planted", "answer", "who notices"),
        [(f"`{one.name}`", one.plants, one.answer.value, _who(one)) for one in listed],
    )
    yield from _table(
        "Rows that ingest sets aside (quarantine)",
        ("rule", "a row is set aside if"),
        [(f"`{rule.name}`", _flat(rule.asks)) for rule in quarantine_rules()],
        note="`ingest/rules.py`. The day goes on; the first rule a row breaks is its reason.",
    )
    yield from _table(
        "Rows that dbt refuses (rejected_events)",
        ("rule", "a row is refused if it is, or has"),
        [(f"`{rule.name}`", _flat(rule.asks)) for rule in named_rules()],
        note="`dbt/models/marts/rejected_events.yml`. The day goes on; each row stands in the mart "
        "with its reason. Landed = events + rejected, or the build stops.",
    )
    yield from _table(
        "dbt's tests: the day stops, nothing is published",
        ("test", "asks", "without it passes"),
        [_row(rule) for rule in dbt_tests()],
    )
    for suite in SUITES:
        yield from _table(
            f"Expectations: {suite}",
            ("measure", "in", "a break means", "without it passes"),
            [_expectation(rule) for rule in expectations() if rule.name.startswith(f"{suite}.")],
            note=f"`quality/suites/{suite}.py`. The day stops.",
        )


def _table(
    title: str, names: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, note: str = ""
) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from (note, "") if note else ()
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"


def _row(rule: Rule) -> tuple[str, ...]:
    return f"`{rule.name}`", _flat(rule.asks), _missed_by(rule)


def _expectation(rule: Rule) -> tuple[str, ...]:
    measure, _, bounds = rule.asks.partition(" in ")
    return f"`{measure}`", bounds, rule.why, _missed_by(rule)


def _missed_by(rule: Rule) -> str:
    return ", ".join(f"{one.plants} (`{one.name}`)" for one in needing(rule.name)[-1:])


def _who(one: Mutation) -> str:
    return one.by if one.by == "nothing" else f"`{one.by}`"


def _flat(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(data_rules_page(), encoding="utf-8")
