"""What the requests of a worker process have spent their time on, counted for whoever measures it.

An app installs it only where it is given a folder. There each worker keeps a file of its own, named by
its pid, with one line: sums over the requests that it has answered so far, their number before and
after the others, so that a line that was read while it was being written is recognised. The file
is a page of memory that the worker shares: what is read there is never old, and nothing but the
requests themselves has to run for it. While the file ``paused`` beside them says 1, nothing is counted.
"""

import mmap
import os
import threading
import time
from contextvars import ContextVar

#: Requests, the sums over them, and requests again, times in nanoseconds; every line is as
#: long as any.
LINE = b"%016d %016d %016d %016d %016d %016d %016d\n"
#: What ``paused`` holds.
GO_ON, PAUSE = b"0", b"1"

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


def _share(path: str, content: bytes) -> mmap.mmap:
    """Shares a file with whoever maps or reads it; one that is there already keeps its content."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if os.fstat(file).st_size < len(content):
            # Written and not just made longer: a full disk is an error here, and a signal later on.
            os.pwrite(file, content, 0)
        return mmap.mmap(file, len(content))
    finally:
        os.close(file)


class Worker:
    """The sums of this process."""

    def __init__(self, folder: str) -> None:
        self._requests = self._handler = self._pool_wait = 0
        self._connect = self._connections = self._database = 0
        self._lock = threading.Lock()
        os.makedirs(folder, exist_ok=True)
        self._paused = _share(os.path.join(folder, "paused"), GO_ON)
        self._page = _share(os.path.join(folder, str(os.getpid())), LINE % ((0,) * 7))
        self._write()

    @property
    def paused(self) -> bool:
        """Whether requests are not counted now."""
        return self._paused[0] == PAUSE[0]

    def add(self, request: Request) -> None:
        """Counts a request whose answer has just been handed to the server."""
        handler = clock() - request.begun
        with self._lock:
            self._requests += 1
            self._handler += handler
            self._pool_wait += request.pool_wait
            self._connect += request.connect
            self._connections += request.connections
            self._database += request.database
            self._write()

    def _write(self) -> None:
        requests = self._requests
        self._page[:] = LINE % (
            *(requests, self._handler, self._pool_wait, self._connect),
            *(self._connections, self._database, requests),
        )


#: The request that the running thread or task handles; None outside of any that is counted.
current: ContextVar[Request | None] = ContextVar("request", default=None)
