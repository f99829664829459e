"""What is recorded of one run: its requests, their counts, and its part of the closing account."""

from pathlib import Path

from arrivals import Arrivals
from clock import EPOCH_OFFSET_US, now_us
from locust.event import EventHook
from locust.stats import RequestStats
from meter import Meter
from request_log import ROWS_AT_ONCE, RecordedEvent, RequestLog

UNFINISHED, DROPPED = "unfinished", "dropped"
NEVER = float("inf")


def discard(rows: list[tuple]) -> None:
    pass


class RunRecord:
    """Hears of all requests by `event`, which becomes a RecordedEvent; `stats` are Locust's own
    counts of them."""

    def __init__(
        self, folder: Path, event: EventHook, stats: RequestStats, suffix: str = ""
    ) -> None:
        (folder / "final.json").unlink(missing_ok=True)
        self.folder = folder
        self.stats = stats
        self.log = RequestLog(folder, suffix)
        self.event = event
        RecordedEvent.replace(event, self.log.add, ROWS_AT_ONCE)
        self.meter = Meter()
        self.load_start_us = self.window_start_us = self.window_end_us = 0
        self.warm_up_requests = self.drain_requests = self.unfinished = 0
        self.arrivals = self.dropped = 0
        """Of an open loop's window: what was due, and never sent."""
        self.connections: int | None = None
        """Opened within the window; None where the client does not tell."""
        self.reopened: int | None = None
        """Of an arm: connections that its server had closed, opened anew before its turns."""
        self.lost: dict | None = None
        """Of an arm that was given up: "atUs", and in "silentS" after how many seconds without an
        answer; null where all its requests failed."""

    def open_window(self, users: int, opened: int | None) -> None:
        """From now on answers are of the window. `opened` is how many connections were opened so
        far. Nothing here waits: it may run in the event loop."""
        log = self.log
        self.stats.reset_all()
        self.event.drain()
        log.uncounted = log.rows
        self.warm_up_requests = log.rows - self.unfinished
        log.failures = log.late = log.late_max_us = 0
        self.users_at_window_start = users
        self._opened_before = opened
        self.event.opens_at_us = NEVER

    def stop_counting_connections(self, opened: int | None) -> None:
        if self.connections is None and opened is not None:
            self.connections = opened - self._opened_before

    def add_uncounted(self, rows: list[tuple]) -> None:
        """Late answers of an open loop's warm-up, and those of its drain."""
        self.event.drain()
        log = self.log
        counts = log.failures, log.late, log.late_max_us
        log.add(rows)
        log.failures, log.late, log.late_max_us = counts
        log.uncounted += len(rows)
        for _, intended_us, *_ in rows:
            if intended_us < self.window_start_us:
                self.warm_up_requests += 1
            else:
                self.drain_requests += 1

    def flush(self) -> list[int]:
        """Rows to the file; service times of some that have come since the last time."""
        self.event.drain()
        service_us = self.log.buffered_service_us()
        self.log.flush()
        return service_us

    def close(self, window_end_us: int) -> None:
        """Nothing is heard of any more."""
        self.window_end_us = window_end_us
        self._stop_hearing()
        self.requests = self.log.requests

    def _stop_hearing(self) -> None:
        self.event.drain()
        self.event.take = discard
        self.event._handlers.clear()

    def give_up(self, users: list, end_us: int) -> None:
        """Nothing is heard of any more, and the requests of these users that have no answer by now
        are unfinished."""
        self._stop_hearing()
        for user in users:
            if in_flight := getattr(user, "in_flight", None):
                route, started_ns = in_flight
                start_us = started_ns // 1000 + EPOCH_OFFSET_US
                self.log.add_unanswered(UNFINISHED, route, 0, start_us, end_us - start_us, 0)
                self.log.uncounted += 1
                self.unfinished += 1

    def give_up_arrivals(self, arrivals: Arrivals, end_us: int) -> None:
        """The same of an open loop: arrivals without an answer, whether they were sent or not."""
        self._stop_hearing()
        arrivals.give_up((end_us - EPOCH_OFFSET_US) * 1000)
        now = now_us()
        sent = [(UNFINISHED, sender.route, sender.intended_ns, sender) for sender in arrivals.busy]
        unsent = [(DROPPED, route, due_ns, None) for route, due_ns in arrivals.dropped()]
        for error, route, intended_ns, sender in sent + unsent:
            intended_us = intended_ns // 1000 + EPOCH_OFFSET_US
            if sender is not None:
                start_us = sender.start_ns // 1000 + EPOCH_OFFSET_US
                times = start_us, now - start_us, now - intended_us
            else:
                times = intended_us, 0, max(0, end_us - intended_us)
            self.log.add_unanswered(error, route.key, intended_us, *times)
            self.log.uncounted += 1
            if intended_us < self.window_start_us:
                self.warm_up_requests += 1
            elif intended_us >= end_us:
                self.drain_requests += 1
            elif error == DROPPED:
                self.dropped += 1
            else:
                self.unfinished += 1
        self.arrivals = arrivals.in_window

    def account(self, seed: int) -> dict:
        """The account of this process, after all rows were added; closes the file."""
        self.log.close()
        return {
            "requests": self.requests,
            "failures": self.log.failures,
            "unfinished": self.unfinished,
            "arrivals": self.arrivals,
            "dropped": self.dropped,
            "warmUpRequests": self.warm_up_requests,
            "drainRequests": self.drain_requests,
            "late": self.log.late,
            "lateMaxUs": self.log.late_max_us,
            "loadStartUs": self.load_start_us,
            "windowStartUs": self.window_start_us,
            "windowEndUs": self.window_end_us,
            "usersAtWindowStart": self.users_at_window_start,
            **self.meter.account(),
            "connections": self.connections,
            "reopened": self.reopened,
            "lost": self.lost,
            "seed": seed,
        }
