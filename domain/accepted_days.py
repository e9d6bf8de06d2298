"""Days that break a rule of amounts and are right all the same: somebody looked, and said why.

They move on, and every check of them says so. ``lake/accepted_days.json``: day → why. A person adds
one with ``vitrine check … --day D --accept WHY``; a connector may know such days of its source.
"""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from domain.files import exclusive, write_json

_NAME: Final = "accepted_days.json"


def read(lake: Path) -> dict[date, str]:
    """Day → why it is right."""
    path = lake / _NAME
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {date.fromisoformat(day): str(why) for day, why in content.items()}


def accept(lake: Path, days: Mapping[date, str]) -> None:
    """Add days; the last reason of a day counts."""
    if not days:
        return
    lake.mkdir(parents=True, exist_ok=True)
    with exclusive(lake / ".accepted_days.lock"):
        known = read(lake)
        if (known | dict(days)) != known:
            content = {str(day): why for day, why in sorted({**known, **days}.items())}
            write_json(lake / _NAME, content)
