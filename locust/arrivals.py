"""Open loop: requests are sent at times that are set beforehand, however slow the answers are.

Arrivals are scheduled on the system's monotonic clock, from the start of the load or of an arm's turn
on, and never wait for earlier answers: each takes an idle connection or opens one. What could not be
sent because too many are outstanding is dropped, and counted. Response time counts from the intended
start.
"""

import ctypes
import logging
import os
import resource
import sys
from array import array
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random
from time import perf_counter_ns

import gevent
import gevent.event
from lean import LOOP, READABLE, Connection, Endpoint
from routes import Route

logger = logging.getLogger(__name__)

SPREAD_CONNECTIONS = 64
FILES_IN_RESERVE = 200
SENT_AT_ONCE = 64
MAX_IDLE_NS = 1_000_000_000
FAR_NS = 2**62


class Timer:
    """Calls back at a time of `perf_counter_ns`, within microseconds when the loop is idle.

    The event loop's own timers are rounded up to the next millisecond; Linux has better ones.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._fd = None
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            monotonic, non_blocking, close_on_exec = 1, 0o4000, 0o2000000
            self._fd = libc.timerfd_create(monotonic, non_blocking | close_on_exec)
        if self._fd is None or self._fd < 0:
            self._watcher = LOOP.timer(0)
            self.call_at = self._call_at_coarsely
            return
        self._watcher = LOOP.io(self._fd, READABLE, priority=LOOP.MAXPRI)
        self._watcher.start(callback)
        self._set = libc.timerfd_settime
        self._set.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._time = (ctypes.c_long * 4)()  # interval and first expiry, in s and ns
        self._address = ctypes.addressof(self._time)

    def call_at(self, time_ns: int) -> None:
        """Replaces the call that is due, if any."""
        absolute = 1
        self._time[2], self._time[3] = divmod(time_ns, 1_000_000_000)
        self._set(self._fd, absolute, self._address, None)

    def _call_at_coarsely(self, time_ns: int) -> None:
        self._watcher.stop()
        self._watcher = LOOP.timer(max(0, time_ns - perf_counter_ns()) / 1e9)
        self._watcher.start(self._callback)

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        if self._fd is not None and self._fd >= 0:
            os.close(self._fd)


def schedule_of(
    kind: str, rate: float, seed: int, index: int, processes: int
) -> Callable[[int], float]:
    """The schedule of one process: nanoseconds from its start to its n-th arrival.

    It is asked for each n in turn, from 0. `rate` is that of all processes together: constant
    arrivals take turns, and independent Poisson processes are together one.
    """
    if kind == "constant":
        gap_ns = 1e9 / rate
        return lambda n: (n * processes + index) * gap_ns
    draw, at_ns, mean_per_ns = Random(seed).expovariate, 0.0, rate / processes / 1e9

    def next_at(_: int) -> float:
        nonlocal at_ns
        at_ns += draw(mean_per_ns)
        return at_ns

    return next_at


class Arrivals:
    """The arrivals of one process: their schedule, and a pool of senders that grows as needed.

    `make_sender` makes one: it sends with `send_arrival(route, intended_ns)` and calls
    :meth:`on_done` with itself when the answer is there.
    """

    make_sender: Callable[[], object]

    def __init__(self, routes: list[Route], rate: float, kind: str, max_busy: int) -> None:
        self.routes = routes
        self.rate = rate
        self.kind = kind
        self.event_of: Callable[[int], object] = lambda _: None
        """The event to fire for a request by its intended start."""
        self.idle: deque = deque()
        """Senders without a request, the longest idle first: load spreads over all connections, and
        so over all workers of the app."""
        self.busy: set = set()
        self.turn = None
        """Told of each request, where arms take turns; see arms.py."""
        self.window_ns = (0, 0)
        """Arrivals are counted that are scheduled within it."""
        self.weights = list(accumulate(route.weight for route in routes))
        self.running = self.sending = False
        self.next_ns = FAR_NS
        self.in_window = 0
        self._dropped = array("q")  # intended starts and numbers of routes, in turn
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.max_busy = max(1, min(max_busy, limit - FILES_IN_RESERVE))

    def run(self, begin: Callable[[], None]) -> None:
        """Sends what is scheduled until the greenlet is killed; `begin` is called when it can."""
        if self.running:  # one user is enough, however many are asked for
            gevent.event.Event().wait()
        self.running = True
        self.timer = Timer(self._send_due)
        try:
            begin()
            self.timer.call_at(self.next_ns)
            gevent.event.Event().wait()
        finally:
            self.running = False
            self.timer.close()
            while self.idle:
                self.idle.pop().close()

    def schedule(self, start_ns: int, seed: int, index: int = 0, processes: int = 1) -> None:
        """Sends from then on; the same seed has the same requests at the same distances."""
        self.random = Random(seed * 1_000_003)
        self.offset_ns = schedule_of(self.kind, self.rate, seed, index, processes)
        self.spread = min(SPREAD_CONNECTIONS, max(1, round(self.rate / processes)))
        self.start_ns = start_ns
        self.count = 0
        self.next_ns = start_ns + int(self.offset_ns(0))
        self.sending = False
        if self.running:
            self.timer.call_at(self.next_ns)

    def _send_due(self) -> None:
        if self.sending:
            return
        self.sending = True
        now_ns = perf_counter_ns()
        left = SENT_AT_ONCE  # and then let the loop read what has come
        while self.next_ns <= now_ns and left > 0:
            intended_ns = self.next_ns
            self.count += 1
            self.next_ns = self.start_ns + int(self.offset_ns(self.count))
            if self.window_ns[0] <= intended_ns < self.window_ns[1]:
                self.in_window += 1
            self._send(intended_ns)
            now_ns = perf_counter_ns()
            left -= 1
        self.sending = False
        self.timer.call_at(self.next_ns)

    def _send(self, intended_ns: int) -> None:
        number = self._draw_route()
        sender = self._idle_sender()
        if sender is None:
            if len(self.busy) >= self.max_busy:
                self._dropped.extend((intended_ns, number))
                return
            sender = self.make_sender()
        self.busy.add(sender)
        if self.turn is not None:
            self.turn.in_flight += 1
        sender.send_arrival(self.routes[number], intended_ns)

    def _draw_route(self) -> int:
        return bisect(self.weights, self.random.random() * self.weights[-1])

    def is_waited_for(self, first_ns: int, end_ns: int) -> bool:
        """Whether something that is due then is to be sent, or has no answer."""
        return self.next_ns < end_ns or any(
            first_ns <= sender.intended_ns < end_ns for sender in self.busy
        )

    def end(self, end_ns: int) -> None:
        """Sends nothing more of this schedule; what should have been sent by then is dropped."""
        self.sending = True
        if self.running:
            self.timer.call_at(FAR_NS)
        first_ns, last_ns = self.window_ns
        while self.next_ns < end_ns:
            self.in_window += first_ns <= self.next_ns < last_ns
            self._dropped.extend((self.next_ns, self._draw_route()))
            self.count += 1
            self.next_ns = self.start_ns + int(self.offset_ns(self.count))
        self.next_ns = FAR_NS

    def give_up(self, end_ns: int) -> None:
        """As :meth:`end`, for good: the window ends then at the latest."""
        self.window_ns = self.window_ns[0], min(self.window_ns[1], end_ns)
        self.end(end_ns)

    @property
    def dropped_so_far(self) -> int:
        return len(self._dropped) // 2

    def dropped(self) -> Iterator[tuple[Route, int]]:
        """Route and intended start of what was never sent."""
        for i in range(0, len(self._dropped), 2):
            yield self.routes[self._dropped[i + 1]], self._dropped[i]

    def _idle_sender(self):
        idle = self.idle
        if len(idle) + len(self.busy) < self.spread:
            return None
        while idle:
            sender = idle.popleft()
            if not sender.is_open():
                continue
            if len(idle) < self.spread or perf_counter_ns() - sender.end_ns < MAX_IDLE_NS:
                return sender
            sender.close()  # a peak has opened more than are needed now
        return None

    def on_done(self, sender) -> None:
        self.busy.discard(sender)
        if sender.is_open():
            self.idle.append(sender)
        if self.turn is not None:
            self.turn.leave()
        if self.running and self.next_ns <= perf_counter_ns():
            self._send_due()


class LeanSender(Connection):
    """One connection of the pool."""

    def __init__(self, arrivals: Arrivals, endpoint: Endpoint, requests: dict) -> None:
        super().__init__(endpoint)
        self.arrivals = arrivals
        self.requests = requests

    def is_open(self) -> bool:
        return self.sock is not None

    def send_arrival(self, route: Route, intended_ns: int) -> None:
        self.route = route
        self.intended_ns = intended_ns
        self.path, request = self.requests[route](self.arrivals.random)
        self.send(request)

    def finish(self) -> None:
        url = self.endpoint.origin + self.path
        event = self.arrivals.event_of(self.intended_ns)
        self.fire(event, self.route, url, {}, self.intended_ns)
        self.arrivals.on_done(self)
