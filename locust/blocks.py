"""The schedule of several arms: a warm-up of each, then blocks in which each arm has one slice.

The order within each block is random, and a slice starts when no other arm's request is in flight.
How long an arm's slices are follows its service time, as its warm-up has shown it.
"""

import logging
import math
import os
from array import array
from bisect import bisect_left
from pathlib import Path
from random import Random
from statistics import median

import gevent.event
from account import merge_accounts, p95_ms, write_account
from arms import Arm, Group, Slice
from clock import EPOCH_OFFSET_US, now_us
from recorder import DRAIN_POLL_S, DRAIN_S, LoadRecorder, sleep_until
from run_record import RunRecord
from settings import TIMEOUT_S

logger = logging.getLogger(__name__)

S = 1_000_000
MAX_SLICE_US = 12 * S
SLICE_STEP_US = S // 10
CYCLES_IN_SLICE = 4
MIN_SETTLING_US = S // 5
SERVICE_TIMES_TO_SETTLE = 3
RELAXATIONS_TO_SETTLE = 3
MAX_SETTLING = 1 / 3
"""Of a slice."""
MAX_UTILISATION = 0.98
OPEN_LOOP_BLOCKS = 4
SERVICE_TIMES_TO_WARM_UP = 20
MAX_WARM_UP_US = 30 * S
"""Or three times the shortest warm-up, if that is more."""
MIN_WARM_UP_STEP_US = S // 10
SEEDS_OF_BLOCKS = 100_003
LEAD_US = S
"""Before the first block nothing is sent for so long, in which whoever samples the arms reads their
counters: from then on they count."""
STEADY = 0.1
CSV_STAGGER_S = 0.05
REOPEN_LIMIT_US = S
REOPEN_POLL_S = 0.001
SILENCE_LIMIT = 0.75
"""Of the client's timeout: an arm without any answer for so long is given up before its requests fail,
or each of its slices would take that long."""
FAILING_TURNS = 2
"""In a row, all of whose requests failed: the arm is given up."""
SCREENING_BLOCKS = 3
FAR_BEHIND = 0.8
"""A candidate that answers less than that of what the best one does, in each of so many blocks, is out of
the question: what it loses is known, and its turns are the longest."""


class Answers:
    """The answers of an arm's warm-up: when they came, and their service times."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._ends_us = array("q")
        self._services_us = array("q")
        record.event.drain()
        record.event.take = self._take

    def _take(self, rows: list[tuple]) -> None:
        self._record.log.add(rows)
        for _, _, start_us, service_us, *_ in rows:
            self._ends_us.append(start_us + service_us)
            self._services_us.append(service_us)

    def stop(self) -> None:
        self._record.event.drain()
        self._record.event.take = self._record.log.add

    def between(self, start_us: int, end_us: int) -> array:
        """Service times of the answers that came then."""
        self._record.event.drain()
        first, end = (bisect_left(self._ends_us, time_us) for time_us in (start_us, end_us))
        return self._services_us[first:end]

    def all(self) -> array:
        self._record.event.drain()
        return self._services_us

    def median_us(self, start_us: int, end_us: int) -> float:
        """Infinite when nothing was ever answered."""
        services_us = self.between(start_us, end_us) or self.all()
        return median(services_us) if services_us else math.inf

    def are_steady(self, end_us: int, step_us: int) -> bool:
        """Whether about as many came in the last step as in the one before."""
        last = len(self.between(end_us - step_us, end_us))
        before = len(self.between(end_us - 2 * step_us, end_us - step_us))
        return last > 0 and abs(last - before) <= max(1, STEADY * max(last, before))

    def unqueued_us(self, start_us: int) -> float:
        """The service time before there are many users."""
        services_us = sorted(self.between(start_us, start_us + S) or self.all())
        return services_us[len(services_us) // 20] if services_us else 0


def slice_length_us(shortest_us: float, cycle_us: float) -> int:
    """In whole steps; a cycle is a service time under load, and a pause."""
    wanted_us = max(shortest_us, min(CYCLES_IN_SLICE * cycle_us, MAX_SLICE_US))
    return math.ceil(wanted_us / SLICE_STEP_US) * SLICE_STEP_US


def relaxation_us(rate: float, unqueued_us: float, service_us: float) -> float:
    """In how long a queue forgets that it was empty: 1 / (√μ - √λ)² of an M/M/1 queue (Cohen, The
    Single Server Queue, 1982), its utilisation λ/μ by how much longer a request takes than without one."""
    if not unqueued_us < service_us < math.inf:
        return 0.0
    utilisation = min(MAX_UTILISATION, 1 - unqueued_us / service_us)
    return utilisation / (rate / S) / (1 - math.sqrt(utilisation)) ** 2


def settling_time_us(
    unqueued_us: float, pause_us: float, slice_us: int, settles_us: float = 0
) -> int:
    """Those who had an answer at the end of the turn before all pause at the begin; a queue may take
    longer to settle."""
    wanted_us = max(MIN_SETTLING_US, SERVICE_TIMES_TO_SETTLE * unqueued_us + pause_us, settles_us)
    return int(min(wanted_us, MAX_SETTLING * slice_us))


class BlocksRecorder(LoadRecorder):
    """Gives each arm its turns, and writes the files of all."""

    def __init__(self, environment, group: Group) -> None:
        super().__init__(environment, Path(os.environ["POOLSCOPE_RUN_FOLDER"]))
        self.arms, self.candidates = group.arms, group.candidates
        self.seed = group.seed
        self.random = Random(group.seed)
        self.warm_up_us, self.shortest_slice_us, self.blocks_us = (
            round(seconds * S) for seconds in (group.warm_up_s, group.slice_s, group.blocks_s)
        )
        self.block = self.blocks = 0
        """The number of the current block, and how many are expected."""
        self.current: tuple[Arm, Slice] | None = None
        self.drained_us = 0
        self.spawned = gevent.event.Event()
        environment.events.spawning_complete.add_listener(lambda **_: self.spawned.set())

    def start_records(self) -> list[RunRecord]:
        self._expect_window(len(self.arms))
        for index, arm in enumerate(self.arms):
            arm.start_record(self.environment.runner, index * CSV_STAGGER_S)
            arm.record.load_start_us = self.load_start_us
        return [arm.record for arm in self.arms]

    def run_phases(self) -> None:
        self.spawned.wait()
        for place, arm in enumerate(self._in_random_order(), 1):
            self._warm_up(arm, place)
            self._expect_window(len(self.arms) - place)
        self._expect_window(0)
        self.report()
        sleep_until(self.window_start_us)
        self._open_window(self._next_us())
        while self._plan_next_block():
            self.block += 1
            for place, arm in enumerate(self._in_random_order(), 1):
                ending = self._begin(arm, place)
                sleep_until(ending.start_us + arm.slice_us)
                self._end()
            if self.block == SCREENING_BLOCKS:
                self._screen()
        self.finish()

    def _with_turns(self) -> list[Arm]:
        return [arm for arm in self.arms if arm.lost is None and not arm.is_out]

    def _in_random_order(self) -> list[Arm]:
        arms = self._with_turns()
        return self.random.sample(arms, len(arms))

    def _screen(self) -> None:
        """Candidates that are far behind get no more turns; of the others, blocks are fresh from now on."""
        standing = [arm for arm in self.candidates if arm.lost is None]
        blocks = list(zip(*(arm.rates for arm in standing)))
        for place, arm in enumerate(standing):
            arm.is_out = all(rates[place] < FAR_BEHIND * max(rates) for rates in blocks)

    def _expect_window(self, warm_ups: int) -> None:
        self.window_start_us = now_us() + warm_ups * self.warm_up_us + LEAD_US
        self.window_end_us = self.window_start_us + self.blocks_us

    def _plan_next_block(self) -> bool:
        """Whether there is to be another: the last ends near the end of the blocks' time."""
        arms = self._with_turns()
        block_us = sum(arm.slice_us + median(arm.drains_us or [0]) for arm in arms)
        if not arms:
            self.blocks = self.block
            return False
        left_us = self.window_start_us + self.blocks_us - now_us()
        left = math.floor(left_us / block_us + 0.5)
        self.blocks = max(1, self.block + max(0, left))
        self.window_end_us = now_us() + round((self.blocks - self.block) * block_us)
        return self.blocks > self.block

    def _next_us(self) -> int:
        """A time after all answers so far."""
        while (now := now_us()) <= self.drained_us:
            pass
        return now

    def _halt_if_closed(self) -> None:
        """All is written, and the process is about to end."""
        if self.closed:
            gevent.event.Event().wait()

    def _begin(self, arm: Arm, place: int) -> Slice:
        self._reopen(arm)
        self._halt_if_closed()
        start_us = self._next_us()
        begun = Slice(self.block, place, start_us, start_us + arm.settling_us)
        self.current = arm, begun
        if self.in_window:
            arm.record.meter.start()
        arm.turn.open()
        if arm.arrivals is not None:
            # Of the block, so that all of its arms have the same.
            seed = self.seed * SEEDS_OF_BLOCKS + self.block
            arm.arrivals.schedule((start_us - EPOCH_OFFSET_US) * 1000, seed)
        return begun

    def _reopen(self, arm: Arm) -> None:
        """Connections that the server closed in others' turns, so that no service time has it."""
        lapsed = [connection for connection in arm.connections if connection.has_lapsed]
        for connection in lapsed:
            connection.open()
        arm.reopened += len(lapsed)
        deadline_us = now_us() + REOPEN_LIMIT_US
        while any(connection.is_connecting for connection in lapsed):
            if now_us() > deadline_us:
                break
            gevent.sleep(REOPEN_POLL_S)
        for connection in lapsed:
            if connection.is_connecting:
                connection.close()

    def _end(self) -> None:
        arm, ending = self.current
        ending.end_us = now_us() + 1
        if arm.arrivals is not None:
            self._finish_arrivals(arm, ending.end_us)
        arm.turn.close()
        limit_s = TIMEOUT_S * SILENCE_LIMIT
        is_silent = not self._drain(arm, limit_s)
        self._halt_if_closed()
        arm.record.meter.stop()
        if is_silent:
            ending.drained_us = now_us() + 1
            self._lose(arm, ending.drained_us, limit_s)
        else:
            ending.drained_us = max(ending.end_us, arm.turn.drained_us)
            arm.count_turn(ending)
            if arm.failing_turns >= FAILING_TURNS and ending.block > 0:
                self._lose(arm, ending.drained_us, None)
        self.drained_us = ending.drained_us
        self.current = None
        arm.add_slice(ending)

    def _finish_arrivals(self, arm: Arm, end_us: int) -> None:
        """They go on, so that the load does not change for the last requests of the slice."""
        end_ns = (end_us - EPOCH_OFFSET_US) * 1000
        deadline_us = end_us + DRAIN_S * S
        while now_us() < deadline_us and not self.closed and arm.arrivals.is_waited_for(0, end_ns):
            gevent.sleep(DRAIN_POLL_S)
        if not self.closed:
            arm.arrivals.end(end_ns)

    def _drain(self, arm: Arm, limit_s: float) -> bool:
        """Waits for all answers; false when for so long none came."""
        left_s = limit_s
        while left_s > 0 and not self.closed:
            if arm.turn.wait_drained(left_s):
                return True
            left_s = limit_s - (now_us() - arm.turn.drained_us) / S
        return False

    def _lose(self, arm: Arm, time_us: int, silent_s: float | None) -> None:
        """The arm gets no more turns, and keeps no connection by which it could disturb the others."""
        arm.give_up(self.users(), time_us)
        arm.record.lost = {"atUs": time_us, "silentS": silent_s}
        for connection in arm.connections:
            connection.close()
        if silent_s is None:
            what = f"all requests of {FAILING_TURNS} turns failed"
        else:
            what = f"{arm.record.unfinished} requests had no answer for {silent_s:.0f} s"
        logger.warning("%s: %s, so it is not loaded any more", arm.host, what)

    def _warm_up(self, arm: Arm, place: int) -> None:
        """One long slice: the ramp, and then until the arm is steady, within a bound."""
        answers = Answers(arm.record)
        warming = self._begin(arm, place)
        start_us = arm.record.load_start_us = warming.start_us
        ramp_us = round((arm.users - 1) / arm.spawn_rate * S)
        step_us = max(self.warm_up_us // 3, MIN_WARM_UP_STEP_US)
        limit_us = start_us + max(3 * self.warm_up_us, MAX_WARM_UP_US, ramp_us + self.warm_up_us)
        due_us = start_us + max(self.warm_up_us, ramp_us)
        while True:
            sleep_until(min(due_us, limit_us))
            now = now_us()
            service_us = answers.median_us(now - step_us, now)
            enough_us = start_us + ramp_us + SERVICE_TIMES_TO_WARM_UP * service_us + arm.pause_us
            if now >= limit_us or (now >= enough_us and answers.are_steady(now, step_us)):
                break
            due_us = now + step_us
        warming.settled_us = now - step_us
        answers.stop()
        self._end()
        unqueued_us, settles_us = answers.unqueued_us(start_us), 0.0
        if arm.arrivals is not None:
            # The median, as the mean is of the slowest routes.
            relaxes_us = relaxation_us(arm.arrivals.rate, unqueued_us, service_us)
            # Some blocks must have room, however long a queue takes.
            longest_us = self.blocks_us / OPEN_LOOP_BLOCKS / len(self.arms)
            settles_us = min(RELAXATIONS_TO_SETTLE * relaxes_us, MAX_SETTLING * longest_us)
        cycle_us = max(service_us + arm.pause_us, settles_us / MAX_SETTLING / CYCLES_IN_SLICE)
        arm.slice_us = slice_length_us(self.shortest_slice_us, cycle_us)
        arm.settling_us = settling_time_us(unqueued_us, arm.pause_us, arm.slice_us, settles_us)

    def _open_window(self, start_us: int) -> None:
        self.window_start_us = start_us
        for arm in self.arms:
            arm.open_window(start_us)
        self.in_window = True

    def show(self, live: dict, service_us: list[list[int]]) -> None:
        for arm, times_us in zip(self.arms, service_us):
            if times_us:
                arm.p95_ms = p95_ms(times_us)
        arms = [{"slices": arm.slices, **self._live(arm)} for arm in self.arms]
        super().show({**live, "block": self.block, "blocks": self.blocks, "arms": arms}, service_us)

    def _live(self, arm: Arm) -> dict:
        """Users, what happened per second of its slices in the window so far, and the newest P95."""
        log, loaded_us = arm.record.log, arm.loaded_us
        if self.in_window and self.current is not None and self.current[0] is arm:
            loaded_us += now_us() - self.current[1].start_us

        def per_s(count: int) -> float:
            return round(count * S / loaded_us, 1) if self.in_window and loaded_us else 0.0

        live = {
            "users": arm.joined,
            "rps": per_s(log.requests),
            "failuresPerS": per_s(log.failures),
            "p95Ms": arm.p95_ms,
        }
        if arm.arrivals is not None:
            live |= {"late": log.late, "dropped": arm.arrivals.dropped_so_far}
        return live

    def close(self) -> None:
        """Nothing waits before all is written, so an arm's files are of the same instant."""
        end_us = now_us() + 1
        if not self.in_window:  # the warm-up was cut short
            self._open_window(end_us)
        if self.current is not None:
            arm, cut = self.current
            arm.record.meter.stop()
            cut.block = 0  # what was cut short counts no more than a warm-up
            cut.end_us = cut.end_us or end_us
            cut.drained_us = end_us
            cut.settled_us = min(cut.settled_us, cut.end_us)
            arm.add_slice(cut)
        errors = []
        for arm in self.arms:
            try:
                self._close_arm(arm, end_us)
            except Exception as error:  # the others' files are still to be written
                errors.append(error)
        self.live_file.remove()
        if errors:
            raise errors[0]

    def _close_arm(self, arm: Arm, end_us: int) -> None:
        record = arm.record
        record.close(end_us)
        record.stop_counting_connections(arm.opened)
        record.reopened = arm.reopened
        if record.lost is None:
            arm.give_up(self.users(), end_us)
        account = record.account(arm.seed)
        write_account(arm.environment, arm.folder, merge_accounts([account]))
