"""Two clean shops on disk, before and after their last day: what every mutation is a copy of."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from quality.mutations.kinds import Where
from stack.mutate import planting
from stack.mutate.good_day import Shops, make_shops
from stack.mutate.path import Day, bring_to_the_eve, shop_settings

SHOP_NAMES: Final = ("files", "online_retail")


@dataclass(frozen=True)
class GoodDays:
    """Where the shops stand below ``root``, and what the clean last day told.

    Attributes:
        told: Shop → step → the details of its receipt.
    """

    root: Path
    told: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @property
    def shops(self) -> Shops:
        """What the sources hand over."""
        return Shops(self.root / "shops")

    def before(self, where: Where, shop: str) -> Path:
        """The clean home just before the hop at which a fault is planted."""
        stage = {Where.SOURCE: "eve", Where.LAKE: "landed", Where.MODEL: "landed"}
        return self.root / shop / stage.get(where, "built")

    def built(self, shop: str) -> Path:
        """The clean home after its last day."""
        return self.root / shop / "built"


def prepare(root: Path, shops: tuple[str, ...] = SHOP_NAMES) -> GoodDays:
    """Simulate the shops, bring them to their last day, and let it pass: the control run.

    Raises:
        VitrineError: If a clean day is refused: then no mutation would say anything.
    """
    made = make_shops(root / "shops")
    return GoodDays(root, {shop: _pass_good_days(root, made, shop) for shop in shops})


def _pass_good_days(root: Path, shops: Shops, shop: str) -> Mapping[str, Mapping[str, Any]]:
    eve, control, data = (root / shop / name for name in ("eve", "control", "control_data"))
    shutil.copytree(shops.root / shop / "event_log", eve / "event_log")
    bring_to_the_eve(shop_settings(shop, eve, shops.data(shop)))
    planting.copy_home(eve, control)
    planting.copy_data(shops.data(shop), data)
    planting.deliver(shops.delivery(shop), data, control / "event_log")
    day = Day(shop_settings(shop, control, data))
    day.land()
    day.check("landed")
    planting.copy_home(control, root / shop / "landed")
    day.build()
    day.check("features")
    day.check("examples")
    planting.copy_home(control, root / shop / "built")
    return day.details
