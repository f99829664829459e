"""A lean HTTP/1.1 client for Locust: one connection, one request in flight, no greenlet of its own.

llhttp (through httptools) parses; the event loop calls the connection when the server has sent
something, and the connection resumes whoever waits when the answer is whole. The socket is watched
for as long as it is open, which saves system calls and notices when the server closes an idle
connection. It fails where Locust's FastHttpUser fails, with the same errors:
`lib/load/client_test.ts` holds the two against each other.

An answer is there when the system has received its last byte, where the system tells (Linux does):
hundreds of answers that come at once do not wait for each other, nor for a process that has no core.
"""

import errno
import os
import select
import socket
import struct
import sys
import weakref
import zlib
from collections import deque
from time import perf_counter_ns, time_ns
from urllib.parse import urlsplit

import brotli
import gevent
import gevent.monkey
from clock import EPOCH_OFFSET_US
from geventhttpclient._parser import HTTPParseError
from geventhttpclient.response import HTTPConnectionClosed
from greenlet import getcurrent
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from locust import User
from locust.event import EventHook
from locust.exception import CatchResponseError, StopTest
from request_log import RecordedEvent

# The system's own: gevent's would wait in a greenlet.
Socket = gevent.monkey.get_original("socket", "socket")
Poll = gevent.monkey.get_original("select", "poll")

READ_BYTES = 65_536
# The system's stamp of what was received, which Python has no name for: see socket(7).
SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None
STAMP = struct.Struct("@ll")  # seconds and nanoseconds of Unix time
STAMP_SPACE = 0 if SO_TIMESTAMPNS is None else socket.CMSG_SPACE(STAMP.size)
HANDLED_AT_ONCE = 8
READABLE, WRITABLE = 1, 2  # the event loop's names for what to watch
TIMEOUT_CHECKS = 50  # in the time that a server may stay silent

fire = EventHook.fire
HUB = gevent.get_hub()
LOOP = HUB.loop


class Endpoint:
    """Where the requests go: addresses, tried in order, and what each request begins with."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.username is not None:
            raise StopTest(
                f"Cannot use {url} with the lean client: it speaks plain HTTP without credentials; "
                "set POOLSCOPE_CLIENT=fast"
            )
        self.url = url.rstrip("/")
        self.prefix = parts.path.rstrip("/")
        self.origin = f"http://{parts.netloc}"
        self.requests = None  # what the locustfile has prepared
        self.opened = 0  # connections so far
        self.timeout_ns = int(timeout_s * 1e9)
        self.addresses = [
            (family, address)
            for family, _, _, _, address in socket.getaddrinfo(
                parts.hostname, parts.port or 80, 0, socket.SOCK_STREAM, socket.SOL_TCP
            )
        ]
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.headers = (
            f"Host: {host}{'' if parts.port in (None, 80) else f':{parts.port}'}\r\n"
            "User-Agent: poolscope\r\nAccept-Encoding: gzip, deflate, br\r\n"
        )


class Response:
    """An answer, as listeners of Locust's request event know it."""

    __slots__ = ("status_code", "_headers", "content", "url")

    def __init__(self, status_code: int, headers: dict, content: bytes, url: str) -> None:
        self.status_code = status_code
        self._headers = headers
        self.content = content
        self.url = url

    @property
    def headers(self) -> dict[str, str]:
        return {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in self._headers.items()
        }

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


CONTENT_TYPE, CONTENT_ENCODING = b"content-type", b"content-encoding"
FRAMING = {b"content-length", b"transfer-encoding"}


class HeaderNames:
    """Where an answer's headers are whose names may be written in any case.

    A server writes the same names again and again: they are looked through once for all.
    """

    known: dict[tuple[bytes, ...], "HeaderNames"] = {}

    def __init__(self, names: tuple[bytes, ...]) -> None:
        lower = {name.lower(): name for name in names}
        self.content_type = lower.get(CONTENT_TYPE)
        self.content_encoding = lower.get(CONTENT_ENCODING)
        self.framed = not FRAMING.isdisjoint(lower)

    @classmethod
    def of(cls, headers: dict[bytes, bytes]) -> "HeaderNames":
        names = tuple(headers)
        found = cls.known.get(names)
        if found is None:
            if len(cls.known) > 1000:
                cls.known.clear()
            found = cls.known[names] = cls(names)
        return found


def decode(content: bytes, encoding: bytes) -> bytes:
    match encoding.lower():
        case b"gzip":
            return zlib.decompress(content, 16 + zlib.MAX_WBITS)
        case b"deflate":
            try:
                return zlib.decompress(content, -zlib.MAX_WBITS)
            except zlib.error:
                return zlib.decompress(content)
        case b"br":
            return brotli.decompress(content)
        case b"identity":
            return content
    raise ValueError(f"Unknown content encoding: {encoding.decode('latin-1')}")


class Connection:
    """Sends one request at a time and opens its socket when it needs one.

    After :meth:`send`, `done` is true or becomes so later, and then `waiter` is resumed or, in a
    subclass, :meth:`finish` called. `status`, `headers`, `content`, `error`, `start_ns`, `end_ns`
    are the outcome; `status` is 0 unless the headers came whole.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.done = True
        self.waiter = None
        self.headers: dict[bytes, bytes] = {}
        self.body: list[bytes] = []
        self.on_header = self.headers.__setitem__  # C functions: the parser's cheapest callbacks
        self.on_body = self.body.append
        self.sock = None
        self.parser = None
        self.has_lapsed = False  # the server has closed it while it was idle
        self.last_ns = 0  # of the last sign of life while a request is in flight
        watch_timeouts(self)

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        if self.whole:
            self.surplus = True
        else:
            self.headers.clear()

    def on_headers_complete(self) -> None:
        if self.whole:
            return
        self.code = self.parser.get_status_code()
        self.headers_whole = self.code >= 200

    def on_message_complete(self) -> None:
        if self.headers_whole and not self.whole:
            self.whole = True
            self.kept = self.parser.should_keep_alive()

    # The request.

    def send(self, request: bytes) -> None:
        """Sends one request; `done` must be true."""
        self.done = self.whole = self.surplus = self.headers_whole = False
        self.status = 0
        self.error = None
        self.heard = self.heard_headers = False
        self.content = b""
        self.body.clear()
        if self.sock is not None and self.poll(0):
            self.close()  # the server has closed it, or sent what nobody asked for
        self.start_ns = self.last_ns = perf_counter_ns()
        if self.sock is None:
            self.open(request)
            return
        try:
            sent = self.sock.send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail_send(error)
            return
        if sent < len(request):
            self._send_later(request[sent:])

    def open(self, request: bytes = b"") -> None:
        """Connects, and sends what is given; without a request, it is to be sent when
        `is_connecting` is over."""
        self.addresses = iter(self.endpoint.addresses)
        self.first_error = None
        self.has_lapsed = False
        self.unsent = request
        self._connect()

    @property
    def is_connecting(self) -> bool:
        return self.sock is not None and self.poll is None

    def wait(self) -> None:
        """Waits in the current greenlet until the request is done; closes if it is killed."""
        try:
            while not self.done:
                self.waiter = getcurrent()
                HUB.switch()
        finally:
            self.waiter = None
            if not self.done:
                self.done = True
                self.close()

    def finish(self) -> None:
        if self.waiter is not None:
            self.waiter.switch()

    def close(self) -> None:
        if self.sock is None:
            return
        for watcher in (self.reading, self.writing):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self.reading = self.writing = self.parser = self.poll = None
        self.sock.close()
        self.sock = None

    # The socket.

    def _connect(self) -> None:
        global opened
        for family, address in self.addresses:
            try:
                sock = Socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            except OSError as error:
                self.first_error = self.first_error or error
                continue
            self.sock = sock
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if SO_TIMESTAMPNS is not None:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.parser = HttpResponseParser(self)
            self.poll = None
            self.reading = self.writing = None
            code = sock.connect_ex(address)
            if code in (0, errno.EINPROGRESS):
                opened += 1
                self.endpoint.opened += 1
                self.connected = False
                self._send_later(self.unsent)
                return
            self.first_error = self.first_error or OSError(code, errno.errorcode.get(code, ""))
            self.close()
        self._fail(self.first_error)

    def _send_later(self, unsent: bytes) -> None:
        self.unsent = unsent
        self.writing = LOOP.io(self.sock.fileno(), WRITABLE)
        self.writing.start(self._on_writable)

    def _on_writable(self) -> None:
        if self.poll is None:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self.first_error = self.first_error or OSError(code, os.strerror(code))
                self.close()
                self._connect()
                return
            poll = Poll()
            poll.register(self.sock.fileno(), select.POLLIN)
            self.poll = poll.poll
            self.reading = LOOP.io(self.sock.fileno(), READABLE)
            self.reading.start(self._on_readable)
        try:
            sent = self.sock.send(self.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail_send(error)
            return
        self.unsent = self.unsent[sent:]
        if not self.unsent:
            self.writing.stop()
            self.writing.close()
            self.writing = None

    def _fail_send(self, error: OSError) -> None:
        """The server may have answered before it closed: then its answer is what counts."""
        if error.errno not in (errno.ECONNRESET, errno.EPIPE):
            self._fail(error)
            return
        while not self.done:
            try:
                data, stamps, _, _ = self.sock.recvmsg(READ_BYTES, STAMP_SPACE)
            except OSError:  # nothing more has come
                self._fail(error if self.heard else HTTPConnectionClosed("connection closed."))
                return
            self._receive(data, self._received_ns(stamps))

    def _on_readable(self) -> None:
        """Reads and takes the time; the rest waits until all that can be read has been.

        Without the system's stamps, answers that come at once would wait for each other.
        """
        sock = self.sock
        try:
            data, stamps, _, _ = sock.recvmsg(READ_BYTES, STAMP_SPACE)
            end_ns = self._received_ns(stamps)
        except BlockingIOError:
            return
        except OSError as error:
            data, end_ns = error, perf_counter_ns()
        received.append((self, sock, data, end_ns))
        if not LOOP.pendingcnt:
            handle_received()
        elif len(received) == 1:
            LOOP.run_callback(handle_received)

    def _received_ns(self, stamps: list[tuple[int, int, bytes]]) -> int:
        """When the system received what was just read; now, if it does not tell."""
        now_ns = perf_counter_ns()
        if not stamps:
            return now_ns
        seconds, rest_ns = STAMP.unpack(stamps[0][2])
        waited_ns = time_ns() - seconds * 1_000_000_000 - rest_ns
        # Unless the system's clock was set meanwhile.
        return now_ns - waited_ns if 0 < waited_ns < now_ns - self.start_ns else now_ns

    def _handle(self, data: bytes | OSError, time_ns: int) -> None:
        if self.done:
            self.has_lapsed = True
            self.close()
        elif isinstance(data, bytes):
            self._receive(data, time_ns)
        elif data.errno == errno.ECONNRESET and not self.heard:
            self._fail(HTTPConnectionClosed("connection closed."), time_ns)
        else:
            self._fail(data, time_ns)

    def _receive(self, data: bytes, time_ns: int) -> None:
        self.end_ns = self.last_ns = time_ns
        if not data:
            self._end_of_stream()
            return
        parser = self.parser
        try:
            parser.feed_data(data)
        except HttpParserUpgrade:
            self._fail(HTTPParseError("the server switches protocols"), self.end_ns)
            return
        except HttpParserError as error:
            self._fail(HTTPParseError(str(error)), self.end_ns)
            return
        if not self.whole:
            self.heard = True
            self.heard_headers = self.headers_whole
            return
        self._complete()

    def _end_of_stream(self) -> None:
        if not self.heard:
            self._fail(HTTPConnectionClosed("connection closed."), self.end_ns)
        elif not self.headers_whole:
            self._fail(HTTPParseError("connection closed before end of the headers"), self.end_ns)
        elif HeaderNames.of(self.headers).framed:
            self._fail(HTTPParseError("connection closed before end of the body"), self.end_ns)
        else:
            self.kept = False  # the end of the connection is the end of the body
            self._complete()

    def _complete(self) -> None:
        body = self.body
        self.content = body[0] if len(body) == 1 else b"".join(body)
        self.status = self.code
        names = HeaderNames.of(self.headers)
        self.content_type = self.headers.get(names.content_type, b"")
        if names.content_encoding is not None:
            try:
                self.content = decode(self.content, self.headers[names.content_encoding])
            except (zlib.error, brotli.error, ValueError) as error:
                self.error = error
                self.content = b""
        if self.surplus or not self.kept:
            self.close()
        self.done = True
        self.finish()

    def _fail(self, error: Exception, time_ns: int | None = None) -> None:
        self.end_ns = time_ns or perf_counter_ns()
        if self.heard_headers:
            self.status = self.code
        self.error = error
        self.close()
        self.done = True
        self.finish()

    def fire(self, event, route, url: str, context: dict, intended_ns: int = 0) -> None:
        """Fires Locust's request event with the outcome, checked, and its times in µs."""
        exception = self.error
        if exception is None:
            wrong = route.verdict(self.status, self.content_type, self.content)
            if wrong is not None:
                exception = CatchResponseError(wrong)
        end_us = self.end_ns // 1000 + EPOCH_OFFSET_US
        service_us = (self.end_ns - self.start_ns) // 1000
        start_us = end_us - service_us
        intended_us = response_us = 0
        if intended_ns:
            intended_us = intended_ns // 1000 + EPOCH_OFFSET_US
            response_us = end_us - intended_us
        status, length = self.status, len(self.content)
        if event.__class__ is RecordedEvent:
            times = intended_us, start_us, service_us, response_us
            event.hear((route.key, *times, length, status, exception), end_us)
        fire(
            event,
            request_type=route.method,
            name=route.name,
            response_time=(response_us or service_us) / 1000,
            response_length=length,
            response=Response(status, self.headers.copy(), self.content, url),
            context=context,
            exception=exception,
            start_time=start_us / 1e6,
            url=url,
        )


received: deque[tuple[Connection, object, bytes | OSError, int]] = deque()
"""What has been read and not been handled, with its time."""


def handle_received() -> None:
    """Handles some, and lets the loop read what has come meanwhile."""
    try:
        for _ in range(min(HANDLED_AT_ONCE, len(received))):
            connection, sock, data, time_ns = received.popleft()
            if connection.sock is sock:
                connection._handle(data, time_ns)
    finally:
        if received:
            LOOP.run_callback(handle_received)


connections: "weakref.WeakSet[Connection]" = weakref.WeakSet()
opened = 0
"""Connections opened so far."""
timer = None


def watch_timeouts(connection: Connection) -> None:
    """One timer looks after all connections: a timer of its own would cost each request more."""
    global timer
    connections.add(connection)
    if timer is None:
        interval_s = connection.endpoint.timeout_ns / TIMEOUT_CHECKS / 1e9
        timer = LOOP.timer(interval_s, interval_s)
        timer.start(_fail_silent)


def _fail_silent() -> None:
    """Runs in the event loop, as all callbacks of a connection do."""
    now_ns = perf_counter_ns()
    for connection in list(connections):
        if not connection.done and now_ns - connection.last_ns > connection.endpoint.timeout_ns:
            connection._fail(TimeoutError("timed out"))


def close_all() -> None:
    """Ends all requests at once; nobody hears of it."""
    for connection in list(connections):
        connection.done = True
        connection.close()
        connection.endpoint.addresses = []


class LeanUser(User):
    """A Locust user with one lean connection."""

    abstract = True
    timeout_s = 60.0
    """A server that is silent for so long fails the request."""

    endpoint: Endpoint | None = None

    def __init__(self, environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("You must specify the base host: use --host")
        cls = type(self)
        if cls.endpoint is None or cls.endpoint.url != self.host.rstrip("/"):
            cls.endpoint = Endpoint(self.host, self.timeout_s)  # looked up once for all
        self.connection = Connection(cls.endpoint)

    def on_stop(self) -> None:
        self.connection.close()
