"""Every command ends with a receipt: what went in, what came out, what was set aside."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from domain.errors import ReconciliationError
from domain.files import only_writer, write_json


@dataclass(frozen=True)
class Receipt:
    """What a command did.

    ``rows_in == rows_out + rows_duplicate + rows_quarantined``, always; ``of`` refuses otherwise.
    """

    command: str
    key: str
    rows_in: int = 0
    rows_out: int = 0
    rows_duplicate: int = 0
    rows_quarantined: int = 0
    seconds: float = 0.0
    artifacts: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        accounted = self.rows_out + self.rows_duplicate + self.rows_quarantined
        if self.rows_in != accounted:
            raise ReconciliationError(
                f"{self.command} {self.key}: {self.rows_in} rows in, but {self.rows_out} out + "
                f"{self.rows_duplicate} duplicate + {self.rows_quarantined} quarantined "
                f"= {accounted}"
            )

    def to_json(self) -> str:
        """One line of JSON: a command's last line on standard output."""
        return json.dumps(asdict(self), sort_keys=True, default=str)


def keep(receipt: Receipt, *, receipts: Path) -> None:
    """Keep the receipt under ``receipts/<command>/<key>.json``; a re-run replaces its own."""
    with only_writer(receipts):
        write_json(receipts / receipt.command / f"{receipt.key or 'all'}.json", asdict(receipt))


class Stopwatch:
    """Seconds since it was made, on a clock that no one can set back."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Elapsed seconds, to the millisecond."""
        return round(time.monotonic() - self._start, 3)
