"""One row for each request: the files requests.bin and requests.tables.json of a run.

Rows of ROW, in order of completion, and the names behind their numbers; worker k of several writes
requests.k.bin and tables of its own. `lib/load/requests.ts` makes requests.csv of them afterwards.
"""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import gevent
from clock import now_us
from geventhttpclient.response import HTTPConnectionClosed
from locust.event import EventHook
from locust.exception import CatchResponseError

# Intended start and start (Unix time), service and response time in µs, bytes, and the numbers of
# route, status and error. In a closed loop, intended start and response time are 0.
ROW = struct.Struct("<qqIIIHHH6x")
ROW_BYTES = ROW.size
ROWS_IN_BUFFER = 16_384
ROWS_AT_ONCE = 64
"""So many rows are taken in one go: for some 50 µs."""
BUFFER_BYTES = ROW_BYTES * ROWS_IN_BUFFER
BUFFER_BYTES_SAMPLED = ROW_BYTES * 2_000
SERVICE_WORD = 4
pack_row_into = ROW.pack_into

MAX_NAMES = 1_000
"""So many routes, and so many kinds of failure, have rows of their own; the rest share one."""
OTHER = "OTHER", "routes beyond the first thousand; give requests a name"
OTHER_ERRORS = "kinds of failure beyond the first thousand"
RESERVED_ERRORS = "", "unfinished", "dropped"
"""What they mean is said of requests without a failure, or without an answer."""

LATE_US = 10_000
"""An arrival that is sent later than that after its intended start is counted as late."""


def write_whole(path: Path, text: str) -> None:
    """Writes a file by temporary file and rename, so that nobody ever reads half of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    temporary.replace(path)


def error_class(exception: Exception, status: int) -> str:
    """A few words that name what went wrong, the same for all requests that fail alike."""
    if isinstance(exception, CatchResponseError):  # the locustfile's own verdict
        text = str(exception)
        return f"failed: {text or 'no text'}" if text in RESERVED_ERRORS else text
    if status >= 400:
        return f"HTTP {status}"
    cause = getattr(exception, "original", None) or exception  # geventhttpclient wraps timeouts
    if isinstance(cause, (TimeoutError, gevent.Timeout)):
        return "timeout"
    if isinstance(cause, HTTPConnectionClosed):
        return "connection closed"
    return type(cause).__name__


class RecordedEvent(EventHook):
    """Locust's request event, of which a log hears first, before Locust counts the request.

    A listener would cost more: all that the event carries is packed for each. And rows are taken in
    small batches: code that runs for one row after another finds itself in the processor's caches.
    Our own client calls `hear` itself, and then Locust's `fire`.
    """

    def __init__(self, take: Callable[[list[tuple]], None], most: int) -> None:
        super().__init__()
        self.record_with(take, most)

    @classmethod
    def replace(cls, event: EventHook, take: Callable[[list[tuple]], None], most: int) -> None:
        """Turns an event into one of these, for all who hold it."""
        event.__class__ = cls
        event.record_with(take, most)

    def record_with(self, take: Callable[[list[tuple]], None], most: int) -> None:
        """`take` is given up to `most` rows: (method, name), intended start, start, service and
        response time in µs (see ROW), bytes, status, exception."""
        self.take = take
        self.most = most
        self.pending: list[tuple] = []
        self.opens_at_us: float = float("inf")
        """Before the first answer that came then or later, `open_window` is called."""
        self.open_window: Callable[[], None] | None = None

    def hear(self, row: tuple, end_us: int) -> None:
        """Keeps a row; `end_us` is when its answer came."""
        if end_us >= self.opens_at_us:
            self.open_window()
        pending = self.pending
        pending.append(row)
        if len(pending) >= self.most:
            self.drain()

    def drain(self) -> None:
        """Hands the rows on that were kept."""
        self.take(self.pending)
        self.pending.clear()

    def fire(self, *, reverse: bool = False, **request) -> None:
        row = row_of(**request)
        self.hear(row, row[2] + row[3])
        super().fire(reverse=reverse, **request)


def row_of(
    request_type: str,
    name: str,
    response_time: float,
    response_length: int,
    response=None,
    exception: Exception | None = None,
    timing: tuple[int, int, int, int] | None = None,
    **_,
) -> tuple:
    """A row, from what Locust's request event carries. `timing` is what our FastHttpUser adds:
    intended start, start, service and response time in µs. Other clients may have no status."""
    if timing is None:
        service_us = int((response_time or 0) * 1000)
        timing = 0, now_us() - service_us, service_us, 0
    status = getattr(response, "status_code", 0)
    if not isinstance(status, int):
        status = 0
    return (request_type, name), *timing, response_length or 0, status, exception


class RequestLog:
    """The rows of requests.bin. Nothing here waits, so no other greenlet runs in between."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.failures = self.failed_rows = 0
        """The first may be set back, the second is of all rows."""
        self.uncounted = 0
        """Rows that are not among `requests`."""
        self.late = self.late_max_us = 0
        self.answered_from_us = 0
        """What is added from now on was answered then at the earliest."""
        self._flushed = 0  # rows
        self._tables = folder / f"requests{suffix}.tables.json"
        self._file = open(folder / f"requests{suffix}.bin", "wb", buffering=0)
        self._buffer = bytearray(BUFFER_BYTES)
        self._end = 0  # of the rows in the buffer
        self._routes: dict[tuple[str, str], int] = {}
        self._errors: dict[str, int] = {"": 0}
        self._examples = [""]
        self._named = False
        """Whether there are names that the tables do not have yet."""
        self._write_tables()

    @property
    def rows(self) -> int:
        return self._flushed + self._end // ROW_BYTES

    @property
    def requests(self) -> int:
        return self.rows - self.uncounted

    def add(self, rows: list[tuple]) -> None:
        """Adds requests that are over, as :class:`RecordedEvent` hands them on."""
        routes, answered_from_us = self._routes, self.answered_from_us
        buffer, end = self._buffer, self._end
        for route, intended_us, start_us, service_us, response_us, length, status, failure in rows:
            if intended_us:
                if start_us - intended_us > LATE_US:
                    self.late += 1
                    self.late_max_us = max(self.late_max_us, start_us - intended_us)
            elif start_us + service_us < answered_from_us:
                # Read before the window opened and handled after it: what is counted in it is of it.
                service_us = answered_from_us - start_us
            error = 0
            if failure is not None:
                self.failures += 1
                self.failed_rows += 1
                error = self._error_number(error_class(failure, status), failure)
            number = routes.get(route)
            if number is None:
                number = self._route_number(*route)
            pack_row_into(
                buffer,
                end,
                intended_us,
                start_us,
                service_us,
                response_us,
                length,
                number,
                status,
                error,
            )
            end += ROW_BYTES
            if end == BUFFER_BYTES:
                self._end = end
                self.flush()
                end = 0
        self._end = end

    def add_unanswered(
        self,
        error: str,
        route: tuple[str, str],
        intended_us: int,
        start_us: int,
        service_us: int,
        response_us: int,
    ) -> None:
        """A row for a request that has no answer, or that was not even sent."""
        row = intended_us, start_us, service_us, response_us, 0
        numbers = self._route_number(*route), 0, self._error_number(error, None)
        pack_row_into(self._buffer, self._end, *row, *numbers)
        self._end += ROW_BYTES
        if self._end == BUFFER_BYTES:
            self.flush()

    def _route_number(self, method: str, name: str) -> int:
        route = method, name
        if route not in self._routes and len(self._routes) >= MAX_NAMES:
            route = OTHER
        if route not in self._routes:
            self._routes[route] = len(self._routes)
            self._named = True
        return self._routes[route]

    def _error_number(self, name: str, exception: Exception | None) -> int:
        is_new = name not in self._errors and name not in RESERVED_ERRORS
        if is_new and len(self._errors) >= MAX_NAMES:
            name = OTHER_ERRORS
        if name not in self._errors:
            self._errors[name] = len(self._errors)
            self._examples.append("" if exception is None else str(exception))
            self._named = True
        return self._errors[name]

    def _write_tables(self) -> None:
        tables = {
            "rowBytes": ROW_BYTES,
            "routes": [f"{method} {name}" for method, name in self._routes],
            "errors": [
                {"error": error, "example": example}
                for error, example in zip(self._errors, self._examples)
            ],
        }
        write_whole(self._tables, json.dumps(tables))

    def buffered_service_us(self) -> list[int]:
        """Service times since the last flush, for whoever watches; some where they are many."""
        step = 1 + self._end // BUFFER_BYTES_SAMPLED
        words = memoryview(self._buffer)[: self._end].cast("I")
        return words[SERVICE_WORD :: step * ROW_BYTES // 4].tolist()

    def flush(self) -> None:
        # No row is ever there without its names.
        if self._named:
            self._write_tables()
            self._named = False
        self._file.seek(self._flushed * ROW_BYTES)  # a part that a full disk took is written again
        rest = memoryview(self._buffer)[: self._end]
        while rest:
            rest = rest[self._file.write(rest) :]
        self._flushed = self.rows
        self._end = 0

    def close(self) -> None:
        self.flush()
        self._file.close()
