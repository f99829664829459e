"""The recorder: one row per request, and the two phases of a run.

It is active when POOLSCOPE_RUN_FOLDER is set, and otherwise Locust runs as it always does. It then
keeps time itself: POOLSCOPE_WARM_UP_S after the start of the load (the ramp is part of it) Locust's
statistics are reset and the measurement window begins; POOLSCOPE_WINDOW_S later the load ends, and
requests that have no answer by then are recorded as "unfinished". If POOLSCOPE_START_FILE is set,
the load waits for that file, so that Locust can be loaded before the app is ready.
So Locust's CSVs cover the window only; its history keeps the ramp. SIGTERM and Ctrl-C end the
window early and are recorded alike.

A request belongs to the phase in which it was answered; in an open loop to that of its intended
start. There the arrivals go on for up to DRAIN_S after the window, until its last request is
answered; that drain is recorded and counted by itself.

With --processes, or with --master and --worker, each worker records its own requests and sends its
account to the master, which writes the merged one. All must be able to write the run folder, and
their hosts' clocks must agree.

Files in the run folder:

requests.bin, requests.tables.json
    See request_log.py; the others are written by account.py.
locust_stats.csv, locust_failures.csv, locust_exceptions.csv
    Written once more when the window ends, by Locust's own writer: Locust rewrites its files each
    second and has no final write.
final.json
    The closing account, written last.
.live.json
    The last second, for whoever watches; removed at the end.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from time import perf_counter_ns

import gevent
import gevent.event
import lean
import locust.log
import locust.stats
import share
from account import LiveFile, merge_accounts, write_account
from arrivals import FAR_NS, Arrivals, Timer
from clock import EPOCH_OFFSET_US, now_us
from locust.event import EventHook
from locust.runners import MasterRunner, WorkerRunner
from request_log import ROWS_AT_ONCE, RecordedEvent, RequestLog
from settings import number

logger = logging.getLogger(__name__)

TICK_S = 1.0
START_POLL_S = 0.01
LAG_INTERVAL_NS = 100_000_000
DRAIN_S = 2.0
DRAIN_POLL_S = 0.01
MERGE_TIMEOUT_S = 5.0
LIVE_SAMPLES = 200
UNFINISHED, DROPPED = "unfinished", "dropped"
ACCOUNT, FINISH, DONE, LIVE = (
    f"poolscope_{name}" for name in ("account", "finish", "done", "live")
)
NEVER = float("inf")


class LoopLag:
    """How late what is due runs, by the system's timer: the event loop's own is a millisecond late
    however idle it is.

    A due timer alone does not tell: users that are ready to send wait in gevent's queue of
    callbacks, so each sample goes through that as well.
    """

    def __init__(self) -> None:
        self.samples_ms: list[float] = []
        self._timer = Timer(self._wake)
        self._await_next()

    def _await_next(self) -> None:
        self._due_ns = perf_counter_ns() + LAG_INTERVAL_NS
        self._timer.call_at(self._due_ns)

    def _wake(self) -> None:
        self._timer.call_at(FAR_NS)  # else it calls again and again until the sample is taken
        lean.LOOP.run_callback(self._sample)

    def _overdue_ms(self) -> float:
        return (perf_counter_ns() - self._due_ns) / 1e6

    def _sample(self) -> None:
        if self._timer is None:
            return
        self.samples_ms.append(max(0.0, self._overdue_ms()))
        self._await_next()

    def stop(self) -> None:
        self._timer.close()
        self._timer = None
        if (overdue_ms := self._overdue_ms()) > 0:
            self.samples_ms.append(overdue_ms)


class Recorder:
    """Keeps the phases of a process that sends requests, and writes its files."""

    def __init__(
        self, environment, folder: Path, phases: tuple[float, float], seed: int, arrivals
    ) -> None:
        self.environment = environment
        self.folder = folder
        self.warm_up_us, self.window_us = (int(seconds * 1e6) for seconds in phases)
        self.seed = seed
        self.arrivals: Arrivals | None = arrivals
        self.live_file = LiveFile(folder)
        self.log: RequestLog | None = None
        self.lag: LoopLag | None = None
        self.cpu_s: float | None = None
        self.uncounted = RecordedEvent(self.add_uncounted, 1)
        self.closed = False
        locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0  # the history is whole at any time
        environment.events.test_start.add_listener(self.start)
        environment.events.quitting.add_listener(self.finish)

    def suffix(self) -> str:
        return ""

    def start(self, **_) -> None:
        """The load starts: Locust is about to spawn the first users."""
        part = share.current
        (self.folder / "final.json").unlink(missing_ok=True)
        self.log = RequestLog(self.folder, self.suffix())
        self.load_start_us = part.start_us
        self.window_start_us = self.load_start_us + self.warm_up_us
        self.window_end_us = self.window_start_us + self.window_us
        self.warm_up_requests = self.drain_requests = 0
        self.reported = self._totals()
        end_on_interrupt(self.finish)
        self.event = self.environment.events.request
        RecordedEvent.replace(self.event, self.log.add, ROWS_AT_ONCE)
        self.event.open_window = self._open_window
        if self.arrivals is None:
            self.event.opens_at_us = self.window_start_us
        else:
            self.arrivals.event_of = self.event_of
            self.arrivals.window_ns = tuple(
                (time_us - EPOCH_OFFSET_US) * 1000
                for time_us in (self.window_start_us, self.window_end_us)
            )
        for run in (self._run_phases, self._tick):
            gevent.spawn(run).link_exception(locust.log.greenlet_exception_logger(logger))

    def event_of(self, intended_ns: int) -> EventHook:
        """Locust and its CSVs see the warm-up's requests, while it lasts, and the window's."""
        first_ns, end_ns = self.arrivals.window_ns
        if self.lag is None:
            if intended_ns < first_ns:
                return self.environment.events.request
            self._open_window()
        if first_ns <= intended_ns < end_ns:
            return self.environment.events.request
        return self.uncounted

    def add_uncounted(self, rows: list[tuple]) -> None:
        """Late answers of the warm-up, and those of the drain."""
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

    def _run_phases(self) -> None:
        self._sleep_until(self.window_start_us)
        self._let_handle()
        if self.lag is None:
            self._open_window()
        self._sleep_until(self.window_end_us)
        self._stop_clocks()
        if self.arrivals is not None:
            self._drain()
        self._let_handle()
        self.finish()

    def _let_handle(self) -> None:
        """What has been read has been answered, and is counted before a phase ends."""
        end_ns = perf_counter_ns()
        while lean.received and lean.received[0][-1] <= end_ns:
            gevent.sleep(0)

    def _stop_clocks(self) -> None:
        if self.cpu_s is None:
            self.cpu_s = time.process_time() - self.cpu_at_window_start_s
            self.connections = self._connections_opened()
            self.lag.stop()

    def _connections_opened(self) -> int | None:
        """Over the window; Locust's own clients do not tell."""
        if not any(issubclass(user, lean.LeanUser) for user in self.environment.user_classes):
            return None
        return lean.opened - self.opened_at_window_start

    def _sleep_until(self, due_us: float) -> None:
        gevent.sleep(0)
        while (left_us := due_us - now_us()) > 0:
            gevent.sleep(left_us / 1e6)

    def _drain(self) -> None:
        """Arrivals go on, so that the load does not change for the window's last requests."""
        deadline_us = self.window_end_us + DRAIN_S * 1e6
        first_ns, end_ns = self.arrivals.window_ns
        while now_us() < deadline_us and (
            self.arrivals.next_ns < end_ns
            or any(first_ns <= sender.intended_ns < end_ns for sender in self.arrivals.busy)
        ):
            gevent.sleep(DRAIN_POLL_S)

    def _open_window(self) -> None:
        """Nothing here waits: it may run in the event loop."""
        self.environment.runner.stats.reset_all()
        log = self.log
        self.event.drain()
        self.warm_up_requests = log.uncounted = log.rows
        log.failures = log.late = log.late_max_us = 0
        self.users_at_window_start = self.environment.runner.user_count
        self.cpu_at_window_start_s = time.process_time()
        self.opened_at_window_start = lean.opened
        self.event.opens_at_us = NEVER
        if self.arrivals is None:
            log.answered_from_us = self.window_start_us
        self.lag = LoopLag()

    def finish(self, **_) -> None:
        """The window ends, or Locust is told to quit before that: writes everything and leaves.

        Locust would now kill its users one by one, for half a second with a thousand of them, while
        the rest go on sending. The system closes their connections at once.
        """
        if self.log is None:  # the load has not started
            return
        if self.closed:  # the one who came first ends the process
            gevent.event.Event().wait()
        self.closed = True
        code = 2 if locust.log.unhandled_greenlet_exception else 0
        try:
            self.deliver(self._close_account())
        except Exception:
            logger.exception("Cannot write the account of the run")
            code = 2
        logging.shutdown()
        os._exit(code)

    def deliver(self, account: dict) -> None:
        write_account(self.environment, self.folder, merge_accounts([account]))
        self.live_file.remove()

    def _close_account(self) -> dict:
        """Nothing here waits, so rows, counts and Locust's CSVs are of the same instant."""
        # A microsecond later than now, so that no answer falls on the boundary.
        end_us = now_us() + 1
        if self.lag is None:  # the warm-up was cut short
            self.window_start_us = end_us
            self._open_window()
        if self.arrivals is None or end_us < self.window_end_us:
            self.window_end_us = end_us
        self._stop_clocks()
        self.event.drain()
        self.event.__class__ = EventHook  # nothing is counted any more
        self.event._handlers.clear()
        requests = self.log.requests
        unanswered = self._add_arrivals() if self.arrivals else self._add_in_flight()
        self.log.close()
        lags_ms = self.lag.samples_ms or [0.0]
        part = share.current
        return {
            "requests": requests,
            "failures": self.log.failures,
            **unanswered,
            "warmUpRequests": self.warm_up_requests,
            "drainRequests": self.drain_requests,
            "late": self.log.late,
            "lateMaxUs": self.log.late_max_us,
            "loadStartUs": self.load_start_us,
            "windowStartUs": self.window_start_us,
            "windowEndUs": self.window_end_us,
            "usersAtWindowStart": self.users_at_window_start,
            "cpuS": round(self.cpu_s, 6),
            "loopLagMaxMs": round(max(lags_ms), 3),
            "loopLagMeanMs": round(sum(lags_ms) / len(lags_ms), 3),
            "connections": self.connections,
            "seed": part.seed(self.seed),
        }

    def _add_in_flight(self) -> dict:
        """A closed loop's requests without an answer at the end of the window."""
        count = 0
        for greenlet in self.environment.runner.user_greenlets:
            user = greenlet.args[0] if greenlet.args else None
            if in_flight := getattr(user, "in_flight", None):
                route, started_ns = in_flight
                start_us = started_ns // 1000 + EPOCH_OFFSET_US
                waited_us = self.window_end_us - start_us
                self.log.add_unanswered(UNFINISHED, route, 0, start_us, waited_us, 0)
                count += 1
        return {"unfinished": count, "arrivals": 0, "dropped": 0}

    def _add_arrivals(self) -> dict:
        """An open loop's arrivals without an answer, whether they were sent or not."""
        arrivals, log = self.arrivals, self.log
        arrivals.give_up((self.window_end_us - EPOCH_OFFSET_US) * 1000)
        counts = {UNFINISHED: 0, DROPPED: 0}
        sent = ((UNFINISHED, sender.route, sender.intended_ns, sender) for sender in arrivals.busy)
        unsent = ((DROPPED, route, intended_ns, None) for route, intended_ns in arrivals.dropped())
        now = now_us()
        for error, route, intended_ns, sender in chain(sent, unsent):
            intended_us = intended_ns // 1000 + EPOCH_OFFSET_US
            if sender is not None:
                start_us = sender.start_ns // 1000 + EPOCH_OFFSET_US
                times = start_us, now - start_us, now - intended_us
            else:
                times = intended_us, 0, max(0, self.window_end_us - intended_us)
            log.add_unanswered(error, route.key, intended_us, *times)
            if intended_us < self.window_start_us:
                self.warm_up_requests += 1
            elif intended_us < self.window_end_us:
                counts[error] += 1
            else:
                self.drain_requests += 1
        return {**counts, "arrivals": arrivals.in_window}

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self.report()

    def report(self) -> None:
        """Rows to the file, and what was since the last report to whoever watches."""
        self.event.drain()
        service_us = sorted(self.log.buffered_service_us())
        self.log.flush()
        (then_us, rows, failures), self.reported = self.reported, self._totals()
        seconds = (self.reported[0] - then_us) / 1e6
        live = {
            "timeS": round((self.reported[0] - self.load_start_us) / 1e6, 3),
            "phase": "window" if self.lag else "warm-up",
            "windowStartUs": self.window_start_us,
            "windowEndUs": self.window_end_us,
            "users": self.environment.runner.user_count,
            "rps": round((self.reported[1] - rows) / seconds, 1),
            "failuresPerS": round((self.reported[2] - failures) / seconds, 1),
        }
        self.show(live, service_us)

    def _totals(self) -> tuple[int, int, int]:
        return now_us(), self.log.rows, self.log.failed_rows

    def show(self, live: dict, service_us: list[int]) -> None:
        self.live_file.write(live, service_us)


class WorkerRecorder(Recorder):
    """The same in one of several processes; the master writes the account."""

    def __init__(self, environment, *rest) -> None:
        super().__init__(environment, *rest)
        self.done = gevent.event.Event()
        environment.runner.register_message(DONE, lambda **_: self.done.set())
        environment.runner.register_message(FINISH, self.finish, concurrent=True)
        environment.events.report_to_master.add_listener(self._mark_report)

    def suffix(self) -> str:
        return f".{share.current.index}"

    def _mark_report(self, client_id: str, data: dict) -> None:
        """The master must know which statistics are of the window."""
        data["poolscope_phase"] = "warm-up" if self.lag is None else "window"

    def deliver(self, account: dict) -> None:
        lean.close_all()  # nothing more is sent
        runner = self.environment.runner
        runner._send_stats()
        failed = bool(locust.log.unhandled_greenlet_exception)
        data = {"index": share.current.index, "account": account, "failed": failed}
        runner.send_message(ACCOUNT, data)
        self.done.wait(MERGE_TIMEOUT_S)

    def show(self, live: dict, service_us: list[int]) -> None:
        step = max(1, len(service_us) // LIVE_SAMPLES)
        data = {"index": share.current.index, "live": live, "service_us": service_us[::step]}
        self.environment.runner.send_message(LIVE, data)


class MasterRecorder:
    """Merges what the workers send."""

    def __init__(self, environment, folder: Path, phases: tuple[float, float]) -> None:
        self.environment = environment
        self.folder = folder
        self.phases_s = sum(phases)
        self.live_file = LiveFile(folder)
        self.accounts: dict[int, dict] = {}
        self.lives: dict[int, dict] = {}
        self.started = self.in_window = self.closed = self.failed = False
        locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0
        environment.events.test_start.add_listener(self.start)
        environment.events.quitting.add_listener(self.finish)
        environment.runner.register_message(ACCOUNT, self._on_account)
        environment.runner.register_message(LIVE, self._on_live)
        environment.events.worker_report._handlers.insert(0, self._on_report)

    def start(self, **_) -> None:
        self.started = True
        end_on_interrupt(self.finish)
        (self.folder / "final.json").unlink(missing_ok=True)
        for run in (self._run, self._tick):
            gevent.spawn(run).link_exception(locust.log.greenlet_exception_logger(logger))

    def _on_report(self, client_id: str, data: dict) -> None:
        """Before Locust adds a worker's statistics to its own."""
        if data.get("poolscope_phase") == "window":
            if not self.in_window:
                self.in_window = True
                self.environment.runner.stats.reset_all()
        elif self.in_window:
            data["stats"], data["errors"] = [], {}
            data["stats_total"] = locust.stats.StatsEntry(None, "", "").serialize()

    def _on_account(self, msg, **_) -> None:
        self.accounts[msg.data["index"]] = msg.data["account"]
        self.failed |= msg.data["failed"]

    def _on_live(self, msg, **_) -> None:
        self.lives[msg.data["index"]] = msg.data

    def _run(self) -> None:
        end_us = share.current.start_us + self.phases_s * 1e6
        deadline_us = end_us + (DRAIN_S + MERGE_TIMEOUT_S) * 1e6
        while len(self.accounts) < share.current.processes and now_us() < deadline_us:
            gevent.sleep(DRAIN_POLL_S)
        self.finish()

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            lives = [worker["live"] for worker in self.lives.values()]
            if lives:
                sums = {
                    field: round(sum(live[field] for live in lives), 1)
                    for field in ("users", "rps", "failuresPerS")
                }
                service_us = chain(*(worker["service_us"] for worker in self.lives.values()))
                self.live_file.write({**lives[0], **sums}, sorted(service_us))

    def finish(self, **_) -> None:
        """All workers have ended, or Locust is told to quit before that."""
        if not self.started:
            return
        if self.closed:
            gevent.event.Event().wait()
        self.closed = True
        code = 2 if locust.log.unhandled_greenlet_exception else 0
        runner = self.environment.runner
        try:
            processes = share.current.processes
            if len(self.accounts) < processes:
                runner.send_message(FINISH)
            deadline = time.monotonic() + MERGE_TIMEOUT_S
            while len(self.accounts) < processes and time.monotonic() < deadline:
                gevent.sleep(DRAIN_POLL_S)
            if len(self.accounts) < processes:
                lost = sorted(set(range(processes)) - set(self.accounts))
                raise RuntimeError(f"no account came from worker {', '.join(map(str, lost))}")
            accounts = [self.accounts[index] for index in sorted(self.accounts)]
            write_account(self.environment, self.folder, merge_accounts(accounts))
            self.live_file.remove()
        except Exception as error:
            logger.error("Cannot write the account of the run: %s", error)
            code = 2
        if self.failed:
            code = 2
        runner.send_message(DONE)
        self._wait_for_children()
        logging.shutdown()
        os._exit(code)

    def _wait_for_children(self) -> None:
        """Those that --processes has started; a worker that was started elsewhere is not ours."""
        deadline = time.monotonic() + MERGE_TIMEOUT_S
        gevent.sleep(DRAIN_POLL_S)  # let the message leave
        while time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            gevent.sleep(DRAIN_POLL_S)


def end_on_interrupt(finish: Callable) -> None:
    """Ctrl-C ends the window in a greenlet of its own, as SIGTERM does.

    By default it is raised wherever Python happens to be, within a request too.
    """
    gevent.signal_handler(signal.SIGINT, finish)


def install(
    environment, seed: int, arrivals: Arrivals | None
) -> Recorder | MasterRecorder | None:
    """Starts recording if POOLSCOPE_RUN_FOLDER asks for it; call it when Locust has initialised."""
    folder = os.environ.get("POOLSCOPE_RUN_FOLDER")
    if not folder:
        return None
    phases = number("POOLSCOPE_WARM_UP_S"), number("POOLSCOPE_WINDOW_S")
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return WorkerRecorder(environment, Path(folder), phases, seed, arrivals)
    if isinstance(runner, MasterRunner):
        recording = MasterRecorder(environment, Path(folder), phases)
    else:
        recording = Recorder(environment, Path(folder), phases, seed, arrivals)
    if start_file := os.environ.get("POOLSCOPE_START_FILE"):
        while not os.path.exists(start_file):
            gevent.sleep(START_POLL_S)
    return recording
