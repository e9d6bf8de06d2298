from dataclasses import replace
from datetime import date

import pytest

from simulator.config import PRESETS


def test_the_base_shop_is_sixty_days_until_the_first_of_march():
    days = PRESETS["base"].days
    assert len(days) == 60
    assert (days[0], days[-1]) == (date(2026, 1, 1), date(2026, 3, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dirt_rate": 1.5}, "dirt_rate must be in"),
        ({"bot_share": -0.1}, "bot_share must be in"),
        ({"last_day": date(2026, 1, 1)}, "is before first_day"),
        ({"item_count": 5}, "at least 20 users and 100 items, got 200 and 5"),
        ({"sessions_per_user_day": -1.0}, "sessions_per_user_day"),
        ({"position_exponent": -0.5}, "position_exponent"),
        ({"arrival_days": -1}, "arrival_days"),
    ],
)
def test_an_impossible_shop_is_refused(change: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        replace(PRESETS["debug"], **change)
