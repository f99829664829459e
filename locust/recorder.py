"""The recorder: one row per request, and the two phases of a run.

It is active when POOLSCOPE_RUN_FOLDER is set, and otherwise Locust runs as it always does. It then
keeps time itself: POOLSCOPE_WARM_UP_S after the start of the load (the ramp is part of it) Locust's
statistics are reset and the measurement window begins; POOLSCOPE_WINDOW_S later the load ends, and
requests that have no answer by then are recorded as "unfinished". If POOLSCOPE_START_FILE is set,
the load waits for that file and removes it, so that Locust can be loaded before the app is ready. So Locust's CSVs cover the window
only; its history keeps the ramp. SIGTERM and Ctrl-C end the window early and are recorded alike.

Files in the run folder:

requests.bin, requests.tables.json
    Rows of ROW in order of completion, of warm-up and window, and the names behind their numbers.
    `lib/load/requests.ts` makes requests.csv of them after the run.
locust_stats.csv, locust_failures.csv, locust_exceptions.csv
    Written once more when the window ends, by Locust's own writer: Locust rewrites its files each
    second and has no final write.
final.json
    The closing account, written last.
.live.json
    The last second, for whoever watches; removed at the end.
"""

import csv
import io
import json
import logging
import os
import struct
import time
from pathlib import Path
from time import perf_counter_ns

import gevent
import locust.log
import locust.stats
from geventhttpclient.response import HTTPConnectionClosed
from locust.exception import CatchResponseError
from locust.runners import LocalRunner

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
# start (Unix time) and service time in µs, bytes, and the numbers of route, status and error
ROW = struct.Struct("<qIIHHH2x")
pack_row_into = ROW.pack_into
ROWS_IN_BUFFER = 16_384
TICK_S = 1.0
START_POLL_S = 0.01
LAG_SLEEP_S = 0.1
UNFINISHED = "unfinished"

# One offset for the whole run: times are Unix time, and their differences are monotonic.
EPOCH_OFFSET_US = time.time_ns() // 1000 - perf_counter_ns() // 1000


def now_us() -> int:
    return perf_counter_ns() // 1000 + EPOCH_OFFSET_US


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

    def __init__(self, folder: Path) -> None:
        self.requests = 0
        self.failures = 0
        self._folder = folder
        self._file = open(folder / "requests.bin", "wb")
        self._buffer = bytearray(ROW.size * ROWS_IN_BUFFER)
        self._end = 0  # of the rows in the buffer
        self._routes: dict[tuple[str, str], int] = {}
        self._errors: dict[str, int] = {"": 0}
        self._examples = [""]
        self._write_tables()

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        response=None,
        exception: Exception | None = None,
        **_,
    ) -> None:
        """Listens to Locust's request event."""
        end_us = perf_counter_ns() // 1000 + EPOCH_OFFSET_US
        service_us = int(response_time * 1000)
        status = response.status_code if response is not None else 0
        error = 0
        if exception is not None:
            self.failures += 1
            error = self._error_number(error_class(exception, status), exception)
        self.requests += 1
        route = self._routes.get((request_type, name))
        if route is None:
            route = self._route_number(request_type, name)
        self._append(end_us - service_us, service_us, response_length, route, status, error)

    def add_unfinished(self, route: tuple[str, str], waited_us: int, end_us: int) -> None:
        error = self._error_number(UNFINISHED, None)
        self._append(end_us - waited_us, waited_us, 0, self._route_number(*route), 0, error)

    def _append(self, *row: int) -> None:
        end = self._end
        pack_row_into(self._buffer, end, *row)
        self._end = end + ROW.size
        if self._end == len(self._buffer):
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
            "rowBytes": ROW.size,
            "routes": [f"{method} {name}" for method, name in self._routes],
            "errors": [
                {"error": error, "example": example}
                for error, example in zip(self._errors, self._examples)
            ],
        }
        write_whole(self._folder / "requests.tables.json", json.dumps(tables))

    def buffered_service_us(self) -> list[int]:
        """Service times since the last flush."""
        return [row[1] for row in ROW.iter_unpack(memoryview(self._buffer)[: self._end])]

    def flush(self) -> None:
        self._file.write(memoryview(self._buffer)[: self._end])
        self._file.flush()
        self._end = 0

    def close(self) -> None:
        self.flush()
        self._file.close()


class LoopLag:
    """How late a greenlet runs that is due, sampled by one that sleeps.

    A due timer alone does not tell: users that are ready to send wait in gevent's queue of
    callbacks, so the sampler goes through that as well.
    """

    def __init__(self) -> None:
        self.samples_ms: list[float] = []
        self._due = 0.0
        self._greenlet = gevent.spawn(self._sample)

    def _sample(self) -> None:
        while True:
            self._due = time.perf_counter() + LAG_SLEEP_S
            gevent.sleep(LAG_SLEEP_S)
            gevent.sleep(0)
            self.samples_ms.append(max(0.0, (time.perf_counter() - self._due) * 1000))

    def stop(self) -> None:
        self._greenlet.kill(block=False)
        overdue_ms = (time.perf_counter() - self._due) * 1000
        if self._due and overdue_ms > 0:
            self.samples_ms.append(overdue_ms)


class Recorder:
    """Keeps the phases of one run and writes its files."""

    def __init__(self, environment, folder: Path, warm_up_s: float, window_s: float) -> None:
        self.environment = environment
        self.folder = folder
        self.warm_up_s = warm_up_s
        self.window_s = window_s
        self.log: RequestLog | None = None
        self.lag: LoopLag | None = None
        locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0  # the history is whole at any time
        environment.events.test_start.add_listener(self.start)
        environment.events.quitting.add_listener(self.finish)

    def start(self, **_) -> None:
        """The load starts: Locust is about to spawn the first users."""
        (self.folder / "final.json").unlink(missing_ok=True)
        self.log = RequestLog(self.folder)
        self.environment.events.request.add_listener(self.log.on_request)
        self.load_start_us = now_us()
        for run in (self._run_phases, self._tick):
            gevent.spawn(run).link_exception(locust.log.greenlet_exception_logger(logger))

    def _run_phases(self) -> None:
        self._sleep_until(self.load_start_us + self.warm_up_s * 1e6)
        self._open_window()
        self._sleep_until(self.window_start_us + self.window_s * 1e6)
        self.finish()

    def _sleep_until(self, due_us: float) -> None:
        gevent.sleep(0)
        while (left_us := due_us - now_us()) > 0:
            gevent.sleep(left_us / 1e6)

    def _open_window(self) -> None:
        # A microsecond later than now, so that no answer falls on the boundary.
        self.window_start_us = now_us() + 1
        self.environment.runner.stats.reset_all()
        self.warm_up_requests = self.log.requests
        self.warm_up_failures = self.log.failures
        self.users_at_window_start = self.environment.runner.user_count
        self.cpu_at_window_start_s = time.process_time()
        self.lag = LoopLag()

    def finish(self, **_) -> None:
        """The window ends, or Locust is told to quit before that: writes everything and leaves.

        Locust would now kill its users one by one, for half a second with a thousand of them, while
        the rest go on sending. The system closes their connections at once.
        """
        if self.log is None:  # the load has not started
            return
        code = 2 if locust.log.unhandled_greenlet_exception else 0
        try:
            self._close_account()
        except Exception:
            logger.exception("Cannot write the account of the run")
            code = 2
        logging.shutdown()
        os._exit(code)

    def _close_account(self) -> None:
        """Nothing here waits, so rows, counts and Locust's CSVs are of the same instant."""
        if self.lag is None:  # the warm-up was cut short
            self._open_window()
        window_end_us = now_us() + 1
        cpu_s = time.process_time() - self.cpu_at_window_start_s
        self.lag.stop()
        self.environment.events.request.remove_listener(self.log.on_request)
        unfinished = self._record_unfinished(window_end_us)
        self.log.close()
        self._write_locust_csvs()
        lags_ms = self.lag.samples_ms or [0.0]
        account = {
            "schemaVersion": SCHEMA_VERSION,
            "requests": self.log.requests - self.warm_up_requests,
            "failures": self.log.failures - self.warm_up_failures,
            "unfinished": unfinished,
            "warmUpRequests": self.warm_up_requests,
            "loadStartUs": self.load_start_us,
            "windowStartUs": self.window_start_us,
            "windowEndUs": window_end_us,
            "usersAtWindowStart": self.users_at_window_start,
            "cpuS": round(cpu_s, 6),
            "loopLagMaxMs": round(max(lags_ms), 3),
            "loopLagMeanMs": round(sum(lags_ms) / len(lags_ms), 3),
        }
        write_whole(self.folder / "final.json", json.dumps(account, indent=2) + "\n")
        (self.folder / ".live.json").unlink(missing_ok=True)

    def _record_unfinished(self, end_us: int) -> int:
        now_ns = perf_counter_ns()
        count = 0
        for greenlet in self.environment.runner.user_greenlets:
            user = greenlet.args[0] if greenlet.args else None
            if in_flight := getattr(user, "in_flight", None):
                route, started_ns = in_flight
                self.log.add_unfinished(route, (now_ns - started_ns) // 1000, end_us)
                count += 1
        return count

    def _write_locust_csvs(self) -> None:
        writer = locust.stats.StatsCSV(self.environment, locust.stats.PERCENTILES_TO_REPORT)
        for name, write in (
            ("stats", writer.requests_csv),
            ("failures", writer.failures_csv),
            ("exceptions", writer.exceptions_csv),
        ):
            text = io.StringIO(newline="")
            write(csv.writer(text))
            write_whole(self.folder / f"locust_{name}.csv", text.getvalue())

    def _tick(self) -> None:
        """Each second: rows to the file, and the last second to whoever watches."""
        at_us, requests, failures = self.load_start_us, 0, 0
        while True:
            gevent.sleep(TICK_S)
            service_us = sorted(self.log.buffered_service_us())
            self.log.flush()
            then_us, at_us = at_us, now_us()
            seconds = (at_us - then_us) / 1e6
            live = {
                "timeS": round((at_us - self.load_start_us) / 1e6, 3),
                "phase": "window" if self.lag else "warm-up",
                "users": self.environment.runner.user_count,
                "rps": round((self.log.requests - requests) / seconds, 1),
                "failuresPerS": round((self.log.failures - failures) / seconds, 1),
                "p95Ms": service_us[len(service_us) * 95 // 100] / 1000 if service_us else None,
            }
            requests, failures = self.log.requests, self.log.failures
            write_whole(self.folder / ".live.json", json.dumps(live))


def install(environment) -> None:
    """Starts recording if POOLSCOPE_RUN_FOLDER asks for it; call it when Locust has initialised."""
    folder = os.environ.get("POOLSCOPE_RUN_FOLDER")
    if not folder:
        return
    if not isinstance(environment.runner, LocalRunner):
        raise ValueError(
            "Cannot record requests: POOLSCOPE_RUN_FOLDER is set and Locust runs distributed; "
            "leave out --master, --worker and --processes"
        )
    Recorder(
        environment,
        Path(folder),
        _seconds("POOLSCOPE_WARM_UP_S"),
        _seconds("POOLSCOPE_WINDOW_S"),
    )
    if start_file := os.environ.get("POOLSCOPE_START_FILE"):
        while not os.path.exists(start_file):
            gevent.sleep(START_POLL_S)
        os.unlink(start_file)


def _seconds(variable: str) -> float:
    text = os.environ.get(variable, "")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(f'Cannot read {variable} "{text}": must be a number of seconds')
    return seconds
