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

With POOLSCOPE_ARMS, several arms have a folder each, and blocks.py keeps the phases.

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
from arrivals import Arrivals
from clock import EPOCH_OFFSET_US, now_us
from locust.event import EventHook
from locust.runners import MasterRunner, WorkerRunner
from request_log import RecordedEvent
from run_record import RunRecord
from settings import number

logger = logging.getLogger(__name__)

TICK_S = 1.0
START_POLL_S = 0.01
DRAIN_S = 2.0
DRAIN_POLL_S = 0.01
MERGE_TIMEOUT_S = 5.0
LIVE_SAMPLES = 200
ACCOUNT, FINISH, DONE, LIVE = (
    f"poolscope_{name}" for name in ("account", "finish", "done", "live")
)


class LoadRecorder:
    """Watches over the load of one process: writes what happens each second, and ends it.

    Subclasses keep the phases.
    """

    def __init__(self, environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.live_file = LiveFile(folder)
        self.records: list[RunRecord] = []
        """Empty until the load starts."""
        self.in_window = False
        self.load_start_us = self.window_start_us = self.window_end_us = 0
        self.closed = False
        locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0  # the history is whole at any time
        environment.events.test_start.add_listener(self.start)
        environment.events.quitting.add_listener(self.finish)

    def start(self, **_) -> None:
        """The load starts: Locust is about to spawn the first users."""
        self.load_start_us = share.current.start_us
        self.records = self.start_records()
        self.reported = self._totals()
        end_on_interrupt(self.finish)
        for run in (self.run_phases, self._tick):
            running = gevent.spawn(run)
            running.link_exception(locust.log.greenlet_exception_logger(logger))
            running.link_exception(lambda _: gevent.spawn(self.finish))

    def start_records(self) -> list[RunRecord]:
        raise NotImplementedError

    def run_phases(self) -> None:
        raise NotImplementedError

    def finish(self, **_) -> None:
        """The window ends, or Locust is told to quit before that: writes everything and leaves.

        Locust would now kill its users one by one, for half a second with a thousand of them, while
        the rest go on sending. The system closes their connections at once.
        """
        if not self.records:  # the load has not started
            return
        if self.closed:  # the one who came first ends the process
            gevent.event.Event().wait()
        self.closed = True
        code = 2 if locust.log.unhandled_greenlet_exception else 0
        try:
            self.close()
        except Exception:
            logger.exception("Cannot write the account of the run")
            code = 2
        logging.shutdown()
        os._exit(code)

    def close(self) -> None:
        """Ends the window and writes the account."""
        raise NotImplementedError

    def users(self) -> list:
        """Those that Locust has spawned."""
        greenlets = self.environment.runner.user_greenlets
        return [greenlet.args[0] for greenlet in greenlets if greenlet.args]

    def _tick(self) -> None:
        gevent.sleep(TICK_S)
        while not self.closed:
            self.report()
            gevent.sleep(TICK_S)

    def report(self) -> None:
        """Rows to the file, and what was since the last report to whoever watches."""
        service_us = [sorted(record.flush()) for record in self.records]
        (then_us, rows, failures), self.reported = self.reported, self._totals()
        seconds = (self.reported[0] - then_us) / 1e6
        live = {
            "timeS": round((self.reported[0] - self.load_start_us) / 1e6, 3),
            "phase": "window" if self.in_window else "warm-up",
            "windowStartUs": self.window_start_us,
            "windowEndUs": self.window_end_us,
            "users": self.environment.runner.user_count,
            "rps": round((self.reported[1] - rows) / seconds, 1),
            "failuresPerS": round((self.reported[2] - failures) / seconds, 1),
            **self.behind(),
        }
        self.show(live, service_us)

    def behind(self) -> dict:
        """Of an open loop: arrivals that were sent late, and never, so far."""
        return {}

    def _totals(self) -> tuple[int, int, int]:
        logs = [record.log for record in self.records]
        return now_us(), sum(log.rows for log in logs), sum(log.failed_rows for log in logs)

    def show(self, live: dict, service_us: list[list[int]]) -> None:
        """`service_us` has the sorted times of each record."""
        self.live_file.write(live, sorted(chain(*service_us)))


class Recorder(LoadRecorder):
    """Keeps the phases of a process that sends the requests of one run, and writes its files."""

    def __init__(
        self, environment, folder: Path, phases: tuple[float, float], seed: int, arrivals
    ) -> None:
        super().__init__(environment, folder)
        self.warm_up_us, self.window_us = (int(seconds * 1e6) for seconds in phases)
        self.seed = seed
        self.arrivals: Arrivals | None = arrivals
        self.record: RunRecord | None = None
        self.uncounted: RecordedEvent | None = None

    def suffix(self) -> str:
        return ""

    def behind(self) -> dict:
        if self.arrivals is None:
            return {}
        return {"late": self.record.log.late, "dropped": self.arrivals.dropped_so_far}

    def start_records(self) -> list[RunRecord]:
        self.window_start_us = self.load_start_us + self.warm_up_us
        self.window_end_us = self.window_start_us + self.window_us
        events, stats = self.environment.events, self.environment.runner.stats
        self.record = RunRecord(self.folder, events.request, stats, self.suffix())
        self.record.load_start_us = self.load_start_us
        self.record.window_start_us = self.window_start_us
        self.uncounted = RecordedEvent(self.record.add_uncounted, 1)
        events.request.open_window = self._open_window
        if self.arrivals is None:
            events.request.opens_at_us = self.window_start_us
        else:
            self.arrivals.event_of = self.event_of
            self.arrivals.window_ns = tuple(
                (time_us - EPOCH_OFFSET_US) * 1000
                for time_us in (self.window_start_us, self.window_end_us)
            )
        return [self.record]

    def event_of(self, intended_ns: int) -> EventHook:
        """Locust and its CSVs see the warm-up's requests, while it lasts, and the window's."""
        first_ns, end_ns = self.arrivals.window_ns
        if not self.in_window:
            if intended_ns < first_ns:
                return self.environment.events.request
            self._open_window()
        if first_ns <= intended_ns < end_ns:
            return self.environment.events.request
        return self.uncounted

    def run_phases(self) -> None:
        sleep_until(self.window_start_us)
        self._let_handle()
        if not self.in_window:
            self._open_window()
        sleep_until(self.window_end_us)
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
        self.record.meter.stop()
        self.record.stop_counting_connections(self._connections_opened())

    def _connections_opened(self) -> int | None:
        """So far; Locust's own clients do not tell."""
        if not any(issubclass(user, lean.LeanUser) for user in self.environment.user_classes):
            return None
        return lean.opened

    def _drain(self) -> None:
        """Arrivals go on, so that the load does not change for the window's last requests."""
        deadline_us = self.window_end_us + DRAIN_S * 1e6
        first_ns, end_ns = self.arrivals.window_ns
        while now_us() < deadline_us and self.arrivals.is_waited_for(first_ns, end_ns):
            gevent.sleep(DRAIN_POLL_S)

    def _open_window(self) -> None:
        """Nothing here waits: it may run in the event loop."""
        record = self.record
        record.open_window(self.environment.runner.user_count, self._connections_opened())
        if self.arrivals is None:
            record.log.answered_from_us = record.window_start_us
        record.meter.start()
        self.in_window = True

    def close(self) -> None:
        self.deliver(self._close_account())

    def deliver(self, account: dict) -> None:
        write_account(self.environment, self.folder, merge_accounts([account]))
        self.live_file.remove()

    def _close_account(self) -> dict:
        """Nothing here waits, so rows, counts and Locust's CSVs are of the same instant."""
        record = self.record
        # A microsecond later than now, so that no answer falls on the boundary.
        end_us = now_us() + 1
        if not self.in_window:  # the warm-up was cut short
            record.window_start_us = end_us
            self._open_window()
        if self.arrivals is None or end_us < self.window_end_us:
            self.window_end_us = end_us
        self._stop_clocks()
        record.close(self.window_end_us)
        if self.arrivals:
            record.give_up_arrivals(self.arrivals, self.window_end_us)
        else:
            record.give_up(self.users(), self.window_end_us)
        return record.account(share.current.seed(self.seed))


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
        data["poolscope_phase"] = "window" if self.in_window else "warm-up"

    def deliver(self, account: dict) -> None:
        lean.close_all()  # nothing more is sent
        runner = self.environment.runner
        runner._send_stats()
        failed = bool(locust.log.unhandled_greenlet_exception)
        data = {"index": share.current.index, "account": account, "failed": failed}
        runner.send_message(ACCOUNT, data)
        self.done.wait(MERGE_TIMEOUT_S)

    def show(self, live: dict, service_us: list[list[int]]) -> None:
        [times_us] = service_us
        step = max(1, len(times_us) // LIVE_SAMPLES)
        data = {"index": share.current.index, "live": live, "service_us": times_us[::step]}
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
                    for field in ("users", "rps", "failuresPerS", "late", "dropped")
                    if field in lives[0]
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


def sleep_until(due_us: float) -> None:
    gevent.sleep(0)
    while (left_us := due_us - now_us()) > 0:
        gevent.sleep(left_us / 1e6)


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
    wait_for_start_file()
    return recording


def wait_for_start_file() -> None:
    if start_file := os.environ.get("POOLSCOPE_START_FILE"):
        while not os.path.exists(start_file):
            gevent.sleep(START_POLL_S)
