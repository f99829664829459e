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
from locust.exception import CatchResponseError

# Intended start and start (Unix time), service and response time in µs, bytes, and the numbers of
# route, status and error. In a closed loop, intended start and response time are 0.
ROW = struct.Struct("<qqIIIHHH6x")
ROW_BYTES = ROW.size
ROWS_IN_BUFFER = 16_384
BUFFER_BYTES = ROW_BYTES * ROWS_IN_BUFFER
BUFFER_BYTES_SAMPLED = ROW_BYTES * 2_000
SERVICE_WORD = 4
pack_row_into = ROW.pack_into

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
        return str(exception)
    if status >= 400:
        return f"HTTP {status}"
    cause = getattr(exception, "original", None) or exception  # geventhttpclient wraps time-outs
    if isinstance(cause, (TimeoutError, gevent.Timeout)):
        return "timeout"
    if isinstance(cause, HTTPConnectionClosed):
        return "connection closed"
    return type(cause).__name__


class RequestLog:
    """The rows of requests.bin. Nothing here waits, so no other greenlet runs in between."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.failures = self.failed_rows = 0
        """The first may be set back, the second is of all rows."""
        self.uncounted = 0
        """Rows that are not among `requests`."""
        self.late = self.late_max_us = 0
        self.opens_at_us: float = float("inf")
        """Before the first answer that came then or later, `open_window` is called."""
        self.answered_from_us = 0
        """What is recorded from now on was answered then at the earliest."""
        self.open_window: Callable[[], None] | None = None
        self._flushed = 0  # rows
        self._tables = folder / f"requests{suffix}.tables.json"
        self._file = open(folder / f"requests{suffix}.bin", "wb")
        self._buffer = bytearray(BUFFER_BYTES)
        self._end = 0  # of the rows in the buffer
        self._routes: dict[tuple[str, str], int] = {}
        self._errors: dict[str, int] = {"": 0}
        self._examples = [""]
        self._write_tables()

    @property
    def rows(self) -> int:
        return self._flushed + self._end // ROW_BYTES

    @property
    def requests(self) -> int:
        return self.rows - self.uncounted

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        response=None,
        context=None,
        exception: Exception | None = None,
        start_time=None,
        url=None,
        timing: tuple[int, int, int, int] | None = None,
        **_,
    ) -> None:
        """Listens to Locust's request event. `timing` is what the clients of this folder add:
        intended start, start, service and response time in µs."""
        if timing is None:
            service_us, intended_us, response_us = int(response_time * 1000), 0, 0
            start_us = now_us() - service_us
        else:
            intended_us, start_us, service_us, response_us = timing
        if intended_us:
            if start_us - intended_us > LATE_US:
                self.late += 1
                self.late_max_us = max(self.late_max_us, start_us - intended_us)
        elif start_us + service_us >= self.opens_at_us:
            self.open_window()
        elif start_us + service_us < self.answered_from_us:
            # Read before the window opened and handled after it: what is counted in it is of it.
            service_us = self.answered_from_us - start_us
        error = 0
        status = response.status_code if response is not None else 0
        if exception is not None:
            self.failures += 1
            self.failed_rows += 1
            error = self._error_number(error_class(exception, status), exception)
        route = self._routes.get((request_type, name))
        if route is None:
            route = self._route_number(request_type, name)
        end = self._end
        pack_row_into(
            self._buffer,
            end,
            intended_us,
            start_us,
            service_us,
            response_us,
            response_length,
            route,
            status,
            error,
        )
        self._end = end = end + ROW_BYTES
        if end == BUFFER_BYTES:
            self.flush()

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
        if (method, name) not in self._routes:
            self._routes[method, name] = len(self._routes)
            self._write_tables()
        return self._routes[method, name]

    def _error_number(self, name: str, exception: Exception | None) -> int:
        if name not in self._errors:
            self._errors[name] = len(self._errors)
            self._examples.append("" if exception is None else str(exception))
            self._write_tables()
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
        self._file.write(memoryview(self._buffer)[: self._end])
        self._file.flush()
        self._flushed = self.rows
        self._end = 0

    def close(self) -> None:
        self.flush()
        self._file.close()
