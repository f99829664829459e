"""Arms that one process loads in turn: what each has for itself, and whether it may send.

POOLSCOPE_ARMS names a JSON file. Its settings are those of :class:`Group`, with "arms", each as
:class:`Arm` is made of it. blocks.py says whose turn it is.

Files in an arm's folder: those of a run (recorder.py), and slices.csv: a row for each turn that the
arm had. All of a request's life lies within one of them.
"""

import json
import os
import traceback
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from time import perf_counter_ns
from typing import TextIO

import gevent
import gevent.event
import locust.log
import locust.stats
from arrivals import FAR_NS, Arrivals
from clock import EPOCH_OFFSET_US, now_us
from lean import Connection, Endpoint
from locust import TaskSet, task
from locust.event import EventHook
from locust.stats import PERCENTILES_TO_REPORT, RequestStats, StatsCSVFileWriter
from locust.user.task import LOCUST_STATE_RUNNING
from routes import read_routes
from run_record import RunRecord
from settings import MAX_CONNECTIONS

SLICE_COLUMNS = ("block", "place", "start_us", "settled_us", "end_us", "drained_us")


class Turn:
    """Whether an arm's users may send, and how many of their requests have no answer."""

    def __init__(self) -> None:
        self.is_open = False
        self.in_flight = 0
        self.drained_us = 0
        """When the newest answer came after the end of a turn, or when that was."""
        self._opened = gevent.event.Event()
        self._drained = gevent.event.Event()
        self._opened_ns = self._passed_ns = 0
        self._pauses = 0
        self._paused_s = 0.0

    def wait(self) -> None:
        while not self.is_open:
            self._opened.wait()

    def _own_ns(self) -> int:
        """The time for which it has been open."""
        return self._passed_ns + (perf_counter_ns() - self._opened_ns if self.is_open else 0)

    def pause(self, seconds: float) -> None:
        """Waits for so long in turns: pauses that ended in others' turns would all send at once when
        the next one begins."""
        self._pauses += 1
        self._paused_s += seconds
        due_ns = self._own_ns() + seconds * 1e9
        while True:
            self.wait()
            gevent.sleep(max(0.0, due_ns - self._own_ns()) / 1e9)  # others run, however short it is
            if self._own_ns() >= due_ns:
                return

    @property
    def mean_pause_us(self) -> float:
        """Of the pauses so far."""
        return self._paused_s / max(1, self._pauses) * 1e6

    def open(self) -> None:
        self.is_open = True
        self._opened_ns = perf_counter_ns()
        self._drained.clear()
        self._opened.set()

    def close(self) -> None:
        self._passed_ns = self._own_ns()
        self.is_open = False
        self._opened.clear()
        self._answered()

    def enter(self) -> None:
        """Waits for the turn, and begins a request."""
        self.wait()
        self.in_flight += 1

    def leave(self) -> None:
        """A request is over."""
        self.in_flight -= 1
        if not self.is_open:
            self._answered()

    def _answered(self) -> None:
        """At the end of the turn, and at each answer after it."""
        self.drained_us = now_us()
        if not self.in_flight:
            self._drained.set()

    def wait_drained(self, timeout_s: float) -> bool:
        return self._drained.wait(timeout_s)


@dataclass
class Slice:
    """The load on one arm within a block. Times are Unix µs."""

    block: int
    """From 1; 0 is the warm-up."""
    place: int
    """In its block, from 1."""
    start_us: int
    settled_us: int
    """Before that it does not count; of a warm-up, the begin of the part it was judged by."""
    end_us: int = 0
    """From then on nothing is sent."""
    drained_us: int = 0
    """From then on no request is without an answer."""


class Arm:
    """One arm: its settings, its turn, and what is recorded of it."""

    def __init__(self, settings: dict, number: int) -> None:
        self.name = f"Arm{number}"
        self.folder = Path(settings["folder"])
        self.folder.mkdir(exist_ok=True)
        self.host: str = settings["host"]
        self.routes = read_routes(Path(settings["contract"]))
        self.weights = list(accumulate(route.weight for route in self.routes))
        self.users: int = settings["users"]
        """Of an open loop one, which sends all arrivals."""
        self.spawn_rate: float = settings["spawnRate"]
        self.client: str = settings["client"]
        self.locustfile: str | None = settings["locustfile"]
        """The app's own, whose user classes send the requests."""
        self.think_time_s = settings["thinkTimeMinS"], settings["thinkTimeMaxS"]
        self.seed: int = settings["seed"]
        self.turn = Turn()
        self.arrivals: Arrivals | None = None
        """Its open loop; None in a closed one."""
        if settings["arrivalRate"] is not None:
            self.arrivals = Arrivals(
                self.routes, settings["arrivalRate"], settings["arrivals"], MAX_CONNECTIONS
            )
            self.arrivals.event_of = lambda _: self.event
            self.arrivals.turn = self.turn
        self.joined = 0
        """Users that have sent."""
        self.reopened = 0
        """Connections that the server had closed, opened anew before a turn."""
        self.endpoint: Endpoint | None = None
        """Of the lean client, set by the first user."""
        self._connections: list[Connection] = []
        """Of all users."""
        self.p95_ms: float | None = None
        """Of the last second in which it was loaded."""
        self.exceptions: dict = {}
        """Of its own locustfile, as Locust keeps them."""
        self.failing_turns = 0
        """So many in a row had failures only."""
        self.rates: list[float] = []
        """Correct answers per second of its turns in blocks."""
        self.is_out = False
        """It gets no more turns, as it is far behind the best."""
        self._counted = 0, 0
        """Rows, and failures among them, that count_turn has seen."""
        self.slice_us = self.settling_us = 0
        """Length of its slices and of the part of each that does not count; set by its warm-up."""
        self.drains_us: list[int] = []
        self.loaded_us = 0
        """Time of the window in which it had its turn."""
        self.slices = 0
        self.event = EventHook()
        self.record: RunRecord | None = None
        self.environment: ArmEnvironment | None = None
        self._slices_file: TextIO | None = None

    @property
    def opened(self) -> int | None:
        """Connections in its turns so far; Locust's own clients do not tell."""
        if self.client != "lean" or self.locustfile is not None:
            return None
        return 0 if self.endpoint is None else self.endpoint.opened - self.reopened

    @property
    def connections(self) -> list[Connection]:
        """The lean client's, of which nobody waits for an answer in others' turns."""
        if self.arrivals is None or self.client != "lean":
            return self._connections
        return list(self.arrivals.idle)

    def keep(self, connection: Connection) -> None:
        self._connections.append(connection)

    def open_window(self, start_us: int) -> None:
        """What is answered, or due, from then on is of the window."""
        self.record.window_start_us = start_us
        self.record.open_window(self.joined, self.opened)
        self.record.log.answered_from_us = start_us
        if self.arrivals is not None:
            self.arrivals.window_ns = (start_us - EPOCH_OFFSET_US) * 1000, FAR_NS

    def give_up(self, users: list, end_us: int) -> None:
        """What has no answer by then is left without one."""
        if self.arrivals is None:
            self.record.give_up([user for user in users if user.arm is self], end_us)
        else:
            self.record.give_up_arrivals(self.arrivals, end_us)

    def start_record(self, runner, delay_s: float) -> None:
        """From now on its requests are recorded. Locust writes its CSVs each second, after a delay:
        those of several arms together would hold up all requests."""
        stats = RequestStats()

        def count(
            request_type, name, response_time, response_length, exception=None, **_
        ) -> None:
            stats.log_request(request_type, name, response_time, response_length)
            if exception:
                stats.log_error(request_type, name, exception)

        self.event.add_listener(count)
        self.record = RunRecord(self.folder, self.event, stats)
        self.environment = ArmEnvironment(self, runner)
        prefix = str(self.folder / "locust")
        writer = StatsCSVFileWriter(self.environment, PERCENTILES_TO_REPORT, prefix, True)
        gevent.spawn_later(delay_s, writer).link_exception(
            locust.log.greenlet_exception_logger(locust.stats.logger)
        )
        self._slices_file = open(self.folder / "slices.csv", "w", buffering=1, encoding="utf-8")
        self._slices_file.write(",".join(SLICE_COLUMNS) + "\n")

    @property
    def pause_us(self) -> float:
        """Of its users, on average; a locustfile of its own shows it in the warm-up."""
        return max(sum(self.think_time_s) / 2 * 1e6, self.turn.mean_pause_us)

    def log_exception(self, user_instance, exception, tb) -> None:
        text = "".join(traceback.format_tb(tb))
        new = {"count": 0, "msg": str(exception), "traceback": text, "nodes": {"local"}}
        self.exceptions.setdefault(hash(text), new)["count"] += 1

    @property
    def lost(self) -> dict | None:
        """Since when it gets no more turns, and why; see run_record.py."""
        return self.record.lost

    def count_turn(self, ended: "Slice") -> None:
        """Call it at the end of each turn."""
        self.record.event.drain()
        log, (rows_before, failed_before) = self.record.log, self._counted
        self._counted = log.rows, log.failed_rows
        rows, failed = log.rows - rows_before, log.failed_rows - failed_before
        self.failing_turns = self.failing_turns + 1 if rows > 0 and rows == failed else 0
        if ended.block > 0:
            self.rates.append((rows - failed) * 1e6 / (ended.drained_us - ended.start_us))

    def add_slice(self, ended: Slice) -> None:
        values = (getattr(ended, column) for column in SLICE_COLUMNS)
        self._slices_file.write(",".join(map(str, values)) + "\n")
        if ended.block > 0:
            self.slices += 1
            self.loaded_us += ended.drained_us - ended.start_us
            self.drains_us.append(ended.drained_us - ended.end_us)


class ArmEnvironment:
    """As much of an environment and its runner as Locust's CSV writers look at."""

    def __init__(self, arm: Arm, runner) -> None:
        self.stats = arm.record.stats
        self.runner = self
        self._arm = arm
        self._process = runner

    @property
    def user_count(self) -> int:
        return self._arm.joined

    @property
    def exceptions(self) -> dict:
        """Its own, and those of the process."""
        return self._process.exceptions | self._arm.exceptions


class ArmTasks(TaskSet):
    """An arm's mix of requests, sent while it is its turn.

    All that is random is drawn from the user's own numbers, so that arms do not disturb
    each other's.
    """

    def on_start(self) -> None:
        user, arm = self.user, self.user.arm
        arm.turn.wait()
        gevent.sleep((user.number - 1) / arm.spawn_rate)
        arm.turn.wait()
        arm.joined += 1

    @task
    def send_requests(self) -> None:
        user, arm = self.user, self.user.arm
        turn, routes, weights = arm.turn, arm.routes, arm.weights
        random, total, (shortest_s, longest_s) = user.random, weights[-1], arm.think_time_s
        while user._state == LOCUST_STATE_RUNNING:
            if turn.is_open:  # a call less
                turn.in_flight += 1
            else:
                turn.enter()
            try:
                user.send(routes[bisect(weights, random.random() * total)])
            finally:
                turn.leave()
            if longest_s > 0:
                turn.pause(random.uniform(shortest_s, longest_s))


@dataclass
class Group:
    """The arms that take turns, and the schedule's settings."""

    warm_up_s: float
    """Shortest warm-up of each arm."""
    slice_s: float
    """Shortest slice."""
    blocks_s: float
    """About how long all blocks take."""
    seed: int
    """Of the order of the arms."""
    arms: list[Arm]
    candidates: list[Arm]
    """Of which one is to be selected."""


def read_group() -> Group | None:
    """The group of POOLSCOPE_ARMS; None if it is not set."""
    file = os.environ.get("POOLSCOPE_ARMS")
    if not file:
        return None
    settings = json.loads(Path(file).read_text(encoding="utf-8"))
    arms = [Arm(arm, number) for number, arm in enumerate(settings["arms"], 1)]
    candidates = [arms[place] for place in settings["candidates"]]
    return Group(
        settings["warmUpS"],
        settings["sliceS"],
        settings["blocksS"],
        settings["seed"],
        arms,
        candidates,
    )
