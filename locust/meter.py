"""What a generating process uses itself: CPU, and how late its event loop runs."""

import time
from time import perf_counter_ns

import lean
from arrivals import FAR_NS, Timer

LAG_INTERVAL_NS = 100_000_000


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


class Meter:
    """Measures the process from each start until the next stop."""

    def __init__(self) -> None:
        self._cpu_s = self._metered_s = 0.0
        self._lags_ms: list[float] = []
        self._lag: LoopLag | None = None

    def start(self) -> None:
        self._cpu_at_start_s = time.process_time()
        self._started_s = time.perf_counter()
        self._lag = LoopLag()

    def stop(self) -> None:
        if self._lag is None:
            return
        self._cpu_s += time.process_time() - self._cpu_at_start_s
        self._metered_s += time.perf_counter() - self._started_s
        self._lag.stop()
        self._lags_ms += self._lag.samples_ms
        self._lag = None

    def account(self) -> dict:
        """Its fields of the closing account; it must have been stopped."""
        lags_ms = self._lags_ms or [0.0]
        return {
            "cpuS": round(self._cpu_s, 6),
            "meteredS": round(self._metered_s, 6),
            "loopLagMaxMs": round(max(lags_ms), 3),
            "loopLagMeanMs": round(sum(lags_ms) / len(lags_ms), 3),
        }
