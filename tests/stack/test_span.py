"""Which days a source has is known before anything is started."""

import os
from datetime import date
from pathlib import Path

import pytest

from domain.errors import BadInputError
from domain.settings import Settings
from stack.environment import process_environment
from stack.span import Span, last_days, require_source, source_span

INVOICES = """Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country
1,22423,CAKESTAND,1,2011-12-05 10:00:00,12.75,17850,France
2,22423,CAKESTAND,1,2011-12-08 10:00:00,12.75,17850,France
3,22423,CAKESTAND,1,2011-12-09 10:00:00,12.75,17850,France
"""


def _invoices(folder: Path, text: str = INVOICES) -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "invoices.csv").write_text(text)
    return Settings(home=folder.parent / "home", source="online_retail", data=folder)


def test_the_last_two_days_with_events(tmp_path: Path) -> None:
    settings = _invoices(tmp_path / "data")

    assert last_days(settings) == [date(2011, 12, 8), date(2011, 12, 9)]


def test_the_simulated_shop_knows_its_days_without_simulating() -> None:
    assert last_days(Settings(simulator_preset="debug"))[-1] == date(2026, 3, 1)
    with pytest.raises(BadInputError, match="no simulator preset 'huge'"):
        last_days(Settings(simulator_preset="huge"))


@pytest.mark.slow
def test_the_answer_is_remembered_until_the_files_change(tmp_path: Path) -> None:
    settings = _invoices(tmp_path / "data")
    environment = process_environment(settings, mark="m")
    first = source_span(settings, environment=environment)
    assert first == Span(last=date(2011, 12, 9), before_last=date(2011, 12, 8))
    assert source_span(settings, environment={"PATH": os.defpath}) == first  # nobody was asked

    _invoices(tmp_path / "data", "\n".join(INVOICES.splitlines()[:2]))

    assert source_span(settings, environment=environment) == Span(date(2011, 12, 5), None)


@pytest.mark.slow
def test_a_source_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    settings = _invoices(tmp_path / "data", "a,b\n1,2\n")

    with pytest.raises(BadInputError, match="invoice"):
        source_span(settings, environment=process_environment(settings, mark="m"))


def test_a_wrong_path_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file or folder"):
        require_source(Settings(source="files", data=tmp_path / "nowhere"))
    with pytest.raises(BadInputError, match="needs a folder or a file"):
        require_source(Settings(source="online_retail"))
    require_source(Settings(source="simulated"))
