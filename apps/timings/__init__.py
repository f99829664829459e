"""What the requests of a worker process have spent their time on, counted for whoever measures it.

An app installs it only where it is given a folder. There each worker keeps a file of its own, named by
its pid, with one line: sums over the requests that it has answered so far, and before and after them
the time at which they held, so that a line that was read while it was being written is recognised.
While the file ``paused`` beside them is not empty, nothing is counted.
"""

import os
import threading
import time
from collections import deque
from contextvars import ContextVar

#: How often a worker writes, in seconds.
INTERVAL_S = 0.1
#: Every line is as long as any, so that a shorter one leaves nothing of a longer one behind.
LINE_LENGTH = 160

#: A clock for differences, in nanoseconds.
clock = time.perf_counter_ns


class Request:
    """A request that is being handled: nanoseconds, but for the times at which things began."""

    #: For a connection of the app's own pool, and for one that had to be opened; how many were.
    pool_wait = 0
    connect = 0
    connections = 0
    #: For answers of the database.
    database = 0
    #: When a connection, and a question to the database, was begun; 0 while there is none.
    connecting = 0
    asked = 0

    def __init__(self) -> None:
        self.begun = clock()


class Worker:
    """The sums of this process."""

    def __init__(self, folder: str) -> None:
        #: What has been answered and is not in the sums yet. Those are left to the thread: for many
        #: requests at once they take a fraction of what they would take in each.
        self._answered: deque[tuple[int, int, int, int, int]] = deque()
        self._requests = self._handler = self._pool_wait = 0
        self._connect = self._connections = self._database = 0
        self._paused_file = os.path.join(folder, "paused")
        self.paused = False
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, str(os.getpid()))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        threading.Thread(target=self._keep_writing, name="timings", daemon=True).start()

    def add(self, request: Request) -> None:
        """Counts a request whose answer has just been handed to the server."""
        self._answered.append(
            (
                clock() - request.begun,
                request.pool_wait,
                request.connect,
                request.connections,
                request.database,
            )
        )

    def _keep_writing(self) -> None:
        # By a thread and not by the requests: what is read is never old, even when none come.
        while True:
            if not self.paused:
                self._write()
            try:
                self.paused = os.stat(self._paused_file).st_size > 0
            except FileNotFoundError:
                self.paused = False
            time.sleep(INTERVAL_S)

    def _write(self) -> None:
        now = time.time_ns()
        for _ in range(len(self._answered)):
            handler, pool_wait, connect, connections, database = self._answered.popleft()
            self._requests += 1
            self._handler += handler
            self._pool_wait += pool_wait
            self._connect += connect
            self._connections += connections
            self._database += database
        sums = (
            *(self._requests, self._handler // 1000, self._pool_wait // 1000),
            *(self._connect // 1000, self._connections, self._database // 1000),
        )
        line = " ".join(map(str, (now // 1000, *sums, now // 1000)))
        os.pwrite(self._file, line.ljust(LINE_LENGTH - 1).encode() + b"\n", 0)


#: The request that the running thread or task handles; None outside of any that is counted.
current: ContextVar[Request | None] = ContextVar("request", default=None)
