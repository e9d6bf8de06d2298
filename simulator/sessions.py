"""Who visits on a day, when, and with which requests a visit begins."""

from typing import Final

import numpy as np

from domain.events import Surface
from simulator.randomness import Bools, Ints, Stream
from simulator.rows import REQUEST, SECOND, SESSION, Rows, blank, surface_code
from simulator.seasons import traffic, visit_seconds
from simulator.world import Today

MOST_SESSIONS: Final = 3
REST_SECONDS: Final = 7_200
"""Two visits of one user start at least this far apart: sessions never run into one another."""

BOT_ACTIVE_SHARE: Final = 0.2
BOT_REQUESTS: Final = 12
BOT_PAUSE_SECONDS: Final = 2
MORE_REQUESTS_MEAN: Final = 0.8
MOST_MORE_REQUESTS: Final = 3
PAUSE_SECONDS_MEAN: Final = 80.0
LONGEST_PAUSE_SECONDS: Final = 300.0
SEARCH_SHARE: Final = 0.35


def visits(today: Today) -> Rows:
    """The day's sessions as SESSION rows, by user and time.

    Whoever has a trip to make (a habit that is due) comes at least once. No session starts in the
    day's first or last hour.
    """
    rng = today.generator(Stream.SESSIONS)
    users, config = today.world.users, today.world.config
    rate = users.eagerness(today.day) * config.sessions_per_user_day * traffic(today.day)
    counts = np.minimum(rng.poisson(np.where(users.is_bot, 0.0, rate)), MOST_SESSIONS)
    counts = np.maximum(counts, today.is_trip_UH.any(axis=1))
    bot_comes = rng.random(len(users)) < BOT_ACTIVE_SHARE
    counts = np.where(users.is_bot, bot_comes & users.is_known(today.day), counts)

    sessions = blank(SESSION, int(counts.sum()))
    sessions["user"] = np.repeat(np.arange(len(users)), counts)
    starts = visit_seconds(rng, count=len(sessions)) * SECOND
    sessions["time_us"] = today.midnight_us + starts.astype(np.int64)
    sessions = sessions[np.lexsort((sessions["time_us"], sessions["user"]))]
    return np.asarray(sessions[~_is_too_soon(sessions)])


def _is_too_soon(sessions: Rows) -> Bools:
    soon = np.zeros(len(sessions), dtype=np.bool_)
    same = sessions["user"][1:] == sessions["user"][:-1]
    soon[1:] = same & (np.diff(sessions["time_us"]) < REST_SECONDS * SECOND)
    return soon


def entry_requests(today: Today, sessions: Rows, rng: np.random.Generator) -> Rows:
    """The requests a user makes unasked, as REQUEST rows: home pages and typed searches.

    The column ``query`` numbers the searches from 0 in row order.
    """
    is_bot = today.world.users.is_bot[sessions["user"]]
    more = np.minimum(rng.poisson(MORE_REQUESTS_MEAN, size=len(sessions)), MOST_MORE_REQUESTS)
    counts = np.where(is_bot, BOT_REQUESTS, 1 + more)
    owner = np.repeat(np.arange(len(sessions)), counts)
    requests = blank(REQUEST, len(owner))
    requests["session"] = owner
    requests["user"] = sessions["user"][owner]
    requests["time_us"] = sessions["time_us"][owner] + _offsets(rng, counts, is_bot[owner])
    is_search = rng.random(len(owner)) < SEARCH_SHARE
    requests["surface"] = np.where(
        is_search, surface_code(Surface.SEARCH), surface_code(Surface.HOME)
    )
    requests["query"] = np.where(is_search, np.cumsum(is_search) - 1, -1)
    return requests


def _offsets(rng: np.random.Generator, counts: Ints, is_bot: Bools) -> Ints:
    """Microseconds from a session's start to each of its requests; 0 for the first."""
    pauses = np.minimum(
        10.0 + rng.exponential(PAUSE_SECONDS_MEAN, size=len(is_bot)), LONGEST_PAUSE_SECONDS
    )
    pauses = np.where(is_bot, BOT_PAUSE_SECONDS, pauses)
    firsts = np.cumsum(counts) - counts
    pauses[firsts] = 0.0
    elapsed = np.cumsum(pauses)
    since_first = elapsed - np.repeat(elapsed[firsts], counts)
    return np.asarray((since_first * SECOND).astype(np.int64))
