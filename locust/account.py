"""What the recorder writes beside the requests: the closing account, and the last second.

final.json is the account of all processes; locust_*.csv are written with it, by Locust's own writer.
"""

import csv
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.event
import gevent.monkey
import locust.stats
from request_log import write_whole

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
PROCESS_FIELDS = (
    "seed",
    "loadStartUs",
    "windowStartUs",
    "windowEndUs",
    "requests",
    "cpuS",
    "loopLagMaxMs",
)


def merge_accounts(accounts: list[dict]) -> dict:
    """The closing account of all processes."""

    def over(combine: Callable, field: str):
        return combine(account[field] for account in accounts)

    merged = {"schemaVersion": SCHEMA_VERSION}
    for field in ("requests", "failures", "unfinished", "warmUpRequests", "drainRequests"):
        merged[field] = over(sum, field)
    for field in ("arrivals", "late", "dropped"):
        merged[field] = over(sum, field)
    merged |= {
        "loadStartUs": over(min, "loadStartUs"),
        "windowStartUs": over(min, "windowStartUs"),
        "windowEndUs": over(max, "windowEndUs"),
        "usersAtWindowStart": over(sum, "usersAtWindowStart"),
        "cpuS": round(over(sum, "cpuS"), 6),
        "meteredS": over(max, "meteredS"),
        "loopLagMaxMs": over(max, "loopLagMaxMs"),
        "loopLagMeanMs": round(over(sum, "loopLagMeanMs") / len(accounts), 3),
        "connections": None
        if any(account["connections"] is None for account in accounts)
        else over(sum, "connections"),
        "reopened": accounts[0]["reopened"],
        "lost": next((account["lost"] for account in accounts if account["lost"]), None),
        "processes": [{field: account[field] for field in PROCESS_FIELDS} for account in accounts],
    }
    if merged["late"]:
        logger.warning(
            "The generator did not keep up: %d of %d arrivals were sent more than 10 ms after "
            "their time, the latest %.0f ms; lower the rate or use more processes",
            merged["late"],
            merged["arrivals"],
            over(max, "lateMaxUs") / 1000,
        )
    if merged["dropped"]:
        logger.warning(
            "%d of %d arrivals were never sent: too many requests were without an answer",
            merged["dropped"],
            merged["arrivals"],
        )
    return merged


def p95_ms(service_us: list[int]) -> float | None:
    """Of sorted times; None without any."""
    return service_us[len(service_us) * 95 // 100] / 1000 if service_us else None


class LiveFile:
    """What happens, each second, for whoever watches.

    A thread writes it: the disk takes up to ten milliseconds to replace a file, and nothing would be
    sent meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".live.json"
        gevent.get_hub().threadpool.spawn(int)  # the thread starts now, not under load
        self._writing: gevent.event.AsyncResult | None = None
        self._removed = False
        self._asked = 0
        # Not gevent's: nothing may be sent while `remove` waits for the disk.
        self._disk = gevent.monkey.get_original("_thread", "allocate_lock")()

    def write(self, live: dict, service_us: list[int]) -> None:
        """`service_us` is sorted. Other greenlets run meanwhile; of what waits, the newest is written."""
        self._asked += 1
        own = self._asked
        while self._writing is not None and not self._writing.ready():
            self._writing.wait()  # two at once would take each other's temporary file
        if self._removed or own < self._asked:
            return
        text = json.dumps({**live, "p95Ms": p95_ms(service_us)})
        self._writing = gevent.get_hub().threadpool.spawn(self._write, text)
        try:
            self._writing.get()
        except OSError as error:  # the load goes on unseen
            logger.warning("Cannot write %s: %s", self._path, error)

    def _write(self, text: str) -> None:
        """In the thread."""
        with self._disk:
            if not self._removed:
                write_whole(self._path, text)

    def remove(self) -> None:
        """For good. No other greenlet runs meanwhile."""
        self._removed = True
        with self._disk:
            self._path.unlink(missing_ok=True)


def write_account(environment, folder: Path, account: dict) -> None:
    writer = locust.stats.StatsCSV(environment, locust.stats.PERCENTILES_TO_REPORT)
    for name, write in (
        ("stats", writer.requests_csv),
        ("failures", writer.failures_csv),
        ("exceptions", writer.exceptions_csv),
    ):
        text = io.StringIO(newline="")
        write(csv.writer(text))
        write_whole(folder / f"locust_{name}.csv", text.getvalue())
    write_whole(folder / "final.json", json.dumps(account, indent=2) + "\n")
