"""What one process has to do of the whole load: when it starts, and which part is its own.

In distributed mode the master tells each worker, before the users are spawned.
"""

from dataclasses import dataclass

from clock import now_us
from locust.runners import MasterRunner, WorkerRunner

MESSAGE = "poolscope_share"
LEAD_US = 300_000
"""From the master's start to the load's: all workers must have their users by then."""


@dataclass
class Share:
    """The part of one process."""

    start_us: int
    """Start of the load, in Unix time."""
    index: int = 0
    processes: int = 1

    def seed(self, seed: int) -> int:
        """A seed for this process; that of the first is the load's own."""
        return seed + 1_000_000 * self.index


current: Share | None = None
"""Set when the load starts."""


def install(environment) -> None:
    """Call it when Locust has initialised, before anything else listens for the load's start."""
    runner = environment.runner

    def on_message(msg, **_) -> None:
        global current
        current = Share(**msg.data)

    def on_test_start(**_) -> None:
        global current
        if isinstance(runner, MasterRunner):
            workers = [*runner.clients.ready, *runner.clients.running, *runner.clients.spawning]
            current = Share(now_us() + LEAD_US, 0, len(workers))
            for index, worker in enumerate(workers):
                data = {"start_us": current.start_us, "index": index, "processes": len(workers)}
                runner.send_message(MESSAGE, data, worker.id)
        elif not isinstance(runner, WorkerRunner):
            current = Share(now_us())

    if isinstance(runner, WorkerRunner):
        runner.register_message(MESSAGE, on_message)
    environment.events.test_start.add_listener(on_test_start)
