"""Built shops that benchmarks look into."""

import json
from pathlib import Path

from domain.settings import SHOP_FILE, Settings


def settings_of(home: Path) -> Settings:
    """The settings of a home, which remembers whose shop it is."""
    remembered = home / SHOP_FILE
    if not remembered.exists():
        return Settings(home=home)
    return Settings(home=home, source=json.loads(remembered.read_text(encoding="utf-8"))["source"])
