"""The way from a shop's files to a dressed window, through Airflow; what is done is not done again.

Whether a step is done is read from what it leaves behind: the store's stamp names the day that is
online, the ledger names the release that is live. A run that failed or was cut short is resumed in
Airflow where it stopped.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from domain.errors import StaleFeaturesError
from domain.settings import Settings
from domain.stamp import read_stamp
from release import ledger
from stack.airflow_api import UNFINISHED, AirflowApi, Run
from stack.follow import Follower, TaskFailedError
from stack.span import Span

NOTE: Final = "vitrine up"


@dataclass(frozen=True)
class Journey:
    """The steps of one shop, in their order."""

    settings: Settings
    span: Span
    api: AirflowApi
    follower: Follower

    def load_history(self) -> bool:
        """Everything but the last day. Returns whether there was anything to do."""
        if self.span.before_last is None or self._is_online(self.span.before_last):
            return False
        until = self.span.last.isoformat()
        known = self.api.newest_run("load_history")
        if known and known.state != "success" and known.conf.get("until") == until:
            self._go_on(known)
        else:
            self.follower.follow(self.api.trigger("load_history", conf={"until": until}, note=NOTE))
        return True

    def add_last_day(self) -> bool:
        """The last day, the daily way. Returns whether there was anything to do."""
        if self._is_online(self.span.last):
            return False
        day = self.span.last.isoformat()
        built = self.api.newest_run("build_features", partition_key=day)
        landed = self.api.newest_run("ingest_events", partition_key=day)
        if landed and built and landed.state == "success" and built.state != "success":
            self._go_on(built)
            return True
        if landed and landed.state != "success":
            self._go_on(landed)
        else:
            self.follower.follow(self.api.trigger("ingest_events", partition_key=day, note=NOTE))
        self.follower.follow(
            self.follower.await_run("build_features", partition_key=day, other_than=built)
        )
        return True

    def release(self) -> bool:
        """Train, judge and release. Returns whether there was anything to do."""
        if live_release(self.settings) is not None:
            return False
        known = self.api.newest_run("train_models")
        if known and known.state != "success" and not self._is_outdated(known):
            self._go_on(known)
        else:
            form = {"reason": "first release"}
            self.follower.follow(self.api.trigger("train_models", conf=form, note=NOTE))
        return True

    def _go_on(self, run: Run) -> None:
        """End a run of an earlier ``vitrine up``: what failed in it is run again, once.

        A run that was cut short may look as if it were running until Airflow misses its tasks'
        heartbeats and fails them; that is the interruption's failure, not the task's.
        """
        if run.state in UNFINISHED:
            try:
                self.follower.follow(run)
            except TaskFailedError:
                self.follower.follow(self.api.resume(run))
        else:
            self.follower.follow(self.api.resume(run))

    def _is_online(self, day: date) -> bool:
        try:
            return read_stamp(self.settings.feast / "stamp.json").event_date >= day
        except StaleFeaturesError:
            return False

    def _is_outdated(self, run: Run) -> bool:
        """Whether features were built after this run: it judged by an older state of the shop."""
        built = self.api.newest_run("build_features")
        return built is not None and built.run_after > run.run_after


def live_release(settings: Settings) -> str | None:
    """The live release's id, or None before the first."""
    entry = ledger.live(settings.releases)
    return entry.release_id if entry else None
