"""What the requests of a worker process have spent their time on, counted for whoever measures it.

An app installs it only where it is given a folder. There each worker keeps a file of its own, named by
its pid: a page of memory that it shares, so that what is read there is never old and nothing but
the requests themselves has to run for it. It holds sums over the requests that have been answered so
far, in eight bytes each. While the file ``paused`` beside them says 1, nothing is counted.

A busy app finds little of this in its caches, and calls cost it five times what they do in a loop:
hence few of them. And a worker of many requests measures each n-th alone, which counts for those before
it as well: the sums are estimates then, and what they take of the worker stays small.
"""

import mmap
import os
import struct
import time
from contextvars import ContextVar

#: What the page holds: the number of requests, the sums of what `Request` has, in nanoseconds but for the
#: number of connections, and the number of requests again, so that a page that was read while it was
#: being written is recognised. One assignment writes all, so that no other thread comes between;
#: ``pack_into`` would write zeros first.
PAGE = struct.Struct("=7q")
#: What ``paused`` holds.
GO_ON, PAUSE = b"0", b"1"

#: A worker measures at least so many requests per second, if it has as many.
MEASURED_RATE = 50
#: And at least one of so many: requests since the last that was measured are not counted yet.
LONGEST_STRIDE = 16
SECOND = 1_000_000_000

#: A clock for differences, in nanoseconds.
clock = time.perf_counter_ns


class Request:
    """A request that is being handled: nanoseconds, but for the times at which things began."""

    begun = 0
    #: How many requests it stands for: itself, and those before it that were not measured.
    stands_for = 1
    #: For a connection of the app's own pool, and for one that had to be opened; how many were.
    pool_wait = 0
    connect = 0
    connections = 0
    #: For answers of the database.
    database = 0
    #: When a connection, and a question to the database, was begun; 0 while there is none.
    connecting = 0
    asked = 0


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
        os.makedirs(folder, exist_ok=True)
        self._paused = _share(os.path.join(folder, "paused"), GO_ON)
        self._page = _share(os.path.join(folder, str(os.getpid())), bytes(PAGE.size))
        # Of one that had this pid before.
        self._page[:] = bytes(PAGE.size)
        #: Requests since the last that was measured, and of how many one is.
        self._since = 0
        self._stride = 1
        #: When the rate was last looked at, and the requests since.
        self._looked = 0
        self._arrived = 0

    def begin(self) -> Request | None:
        """The request that begins now, for `add`; None for one that is not measured. One at a time."""
        if self._paused[0] == PAUSE[0]:
            self._looked = 0
            return None
        self._since += 1
        if self._since < self._stride:
            return None
        request = Request()
        request.begun = now = clock()
        request.stands_for = self._since
        self._arrived += self._since
        self._since = 0
        if now - self._looked >= SECOND:
            if self._looked:
                times = self._arrived * SECOND // (MEASURED_RATE * (now - self._looked))
                self._stride = min(max(times, 1), LONGEST_STRIDE)
            self._looked, self._arrived = now, 0
        current.set(request)
        return request

    def add(self, request: Request) -> None:
        """Counts a request whose answer has just been handed to the server; one at a time."""
        handler = clock() - request.begun
        for_all = request.stands_for
        requests, handlers, pool_wait, connect, connections, database, _ = PAGE.unpack(self._page)
        requests += for_all
        self._page[:] = PAGE.pack(
            *(requests, handlers + for_all * handler, pool_wait + for_all * request.pool_wait),
            *(connect + for_all * request.connect, connections + for_all * request.connections),
            *(database + for_all * request.database, requests),
        )


#: The request that the running thread or task handles; None outside of any that is measured.
current: ContextVar[Request | None] = ContextVar("request", default=None)
