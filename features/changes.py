"""A definition changes: from before its first new value on, the stamp stops vouching for it.

Values are written first and the stamp last. Without this a service would read the new values of a
feature by its old meaning until the stamp says otherwise; and days that did not change would not be
written again, so that a new feature would be missing online for ever.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from domain.errors import StaleFeaturesError
from domain.settings import Settings
from features import partitions
from features.stamps import find_stamp, keep_stamp

logger = logging.getLogger(__name__)


def withdraw(settings: Settings, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Take out of the stamp what is not as ``wanted``, and have every day written again.

    A release that uses a feature which is taken out degrades and names it; the others go on. The
    next stamp names all features again. Killed in between, the next materialization goes on.

    Args:
        settings: Whose online store.
        wanted: Feature view → feature → dtype of the definitions that are about to be applied.
    """
    try:
        held = find_stamp(settings.online_address)
    except StaleFeaturesError:
        return
    if held.features == wanted:
        return
    partitions.forget(settings)
    kept = {
        view: {
            name: kind for name, kind in features.items() if wanted.get(view, {}).get(name) == kind
        }
        for view, features in held.features.items()
    }
    if kept != held.features:
        keep_stamp(settings.online_address, replace(held, features=kept))
    logger.info("the definitions changed: every day is materialized again")
