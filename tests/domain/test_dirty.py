from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from domain import dirty

ONE, TWO = date(2026, 1, 1), date(2026, 1, 2)


def test_what_was_rebuilt_is_forgotten_and_nothing_else(tmp_path):
    dirty.mark(tmp_path, ONE)
    dirty.mark(tmp_path, TWO)
    dirty.forget(tmp_path, dirty.hold(tmp_path, [ONE]))
    assert dirty.days(tmp_path) == [TWO]


def test_a_day_that_was_marked_again_during_the_build_stays_dirty(tmp_path):
    held = dirty.hold(tmp_path, [ONE, TWO])
    dirty.mark(tmp_path, TWO)
    dirty.forget(tmp_path, held)
    assert dirty.days(tmp_path) == [TWO]


def test_a_day_that_is_held_is_marked_until_it_is_forgotten(tmp_path):
    held = dirty.hold(tmp_path, [ONE])
    assert dirty.days(tmp_path) == [ONE]
    assert dirty.hold(tmp_path, [ONE]) == held
    dirty.forget(tmp_path, held)
    dirty.forget(tmp_path, held)
    assert dirty.days(tmp_path) == []


def test_a_mark_that_was_cut_by_a_kill_is_still_a_mark(tmp_path):
    (tmp_path / "dirty").mkdir()
    (tmp_path / "dirty" / ONE.isoformat()).touch()
    held = dirty.hold(tmp_path, [ONE])
    dirty.mark(tmp_path, ONE)
    dirty.forget(tmp_path, held)
    assert dirty.days(tmp_path) == [ONE]


def test_no_change_that_a_build_did_not_see_is_ever_forgotten(tmp_path):
    """One lands, another builds, hundreds of times: what the build has not seen stays dirty."""
    days = [ONE + timedelta(days=n) for n in range(3)]
    landed, built = dict.fromkeys(days, 0), dict.fromkeys(days, 0)

    def land():
        for number in range(300):
            day = days[number % 3]
            dirty.mark(tmp_path, day)
            landed[day] += 1
            dirty.mark(tmp_path, day)

    def build():
        for _ in range(300):
            held = dirty.hold(tmp_path, days)
            built.update(landed)
            dirty.forget(tmp_path, held)

    with ThreadPoolExecutor(2) as pool:
        for work in (pool.submit(land), pool.submit(build)):
            work.result()
    assert {day for day in days if built[day] != landed[day]} <= set(dirty.days(tmp_path))
