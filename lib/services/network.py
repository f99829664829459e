"""The network between two services: hands bytes on after half a round-trip time, in order.

``network.py JSON`` with ``{"control": [host, port], "legs": [{name, listen: [host, port], target:
[host, port], rttMs, backlog}]}``. Each leg listens, and connects to its target for every connection
that it is given. TCP's own handshake cannot be held up from outside, so its round trip is added
behind it: the target sees a connection, and what was sent on it, when it would over such a network.
Ends and resets travel like bytes. Whoever connects to the control port is told in one line of JSON
what the relay has done so far.

Time-outs of epoll are whole milliseconds, so delays are kept by a timerfd; how late each delivery
was is counted. Only the standard library is used: it runs wherever there is a Python.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from heapq import heappop, heappush

CHUNK = 65536
#: Bytes on their way in one direction; who sends more waits, as with a full TCP window.
MAX_IN_FLIGHT = 4 * 1024 * 1024
#: Waking up and handing on take a while, which is learnt and allowed for, up to this many ns each.
MAX_ALLOWANCE = 100_000
#: Linux's socket option and message by which the kernel tells when bytes arrived.
SO_TIMESTAMPNS = 35

CONNECT, END, RESET = object(), object(), object()
TIMESPEC = struct.Struct("qq")
NEVER = 1 << 62
now_ns, clock_ns = time.monotonic_ns, time.time_ns


class Timer:
    """A timerfd, edge-triggered so that it never has to be read."""

    def __init__(self, epoll: select.epoll) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.at = NEVER
        #: How long waking up takes, on average over the last times.
        self.wake_up = 0
        self._settime = libc.timerfd_settime
        self._spec = ctypes.create_string_buffer(32)
        epoll.register(self.fd, select.EPOLLIN | select.EPOLLET)

    def wake_at(self, at: int) -> None:
        """Ends a wait at this time of the monotonic clock, in nanoseconds."""
        if at != self.at:
            self.at = at
            early = max(at - self.wake_up, 1)
            struct.pack_into("qqqq", self._spec, 0, 0, 0, early // 10**9, early % 10**9)
            self._settime(self.fd, 1, self._spec, None)  # 1: the time is absolute

    def woken(self) -> None:
        """Learns from a wait that is over; epoll may tell of one twice."""
        if self.at != NEVER:
            late = min(now_ns() - self.at, MAX_ALLOWANCE)
            self.wake_up = min(max(self.wake_up + late // 16, 0), MAX_ALLOWANCE)
            self.at = NEVER


class Leg:
    """The way between two services."""

    def __init__(self, spec: dict) -> None:
        self.name = spec["name"]
        self.target = tuple(spec["target"])
        self._address: tuple | None = None
        self.rtt = round(spec["rttMs"] * 1e6)
        self.half = self.rtt // 2
        self.connections = self.chunks = self.bytes = self.round_trips = 0
        self.refused = 0
        #: The addresses of those that are connected, by their sockets' numbers.
        self.clients: dict[int, tuple] = {}
        self.late = self.late_max = 0
        #: Deliveries by how late they were: below 1 µs, 2 µs, 4 µs …
        self.late_counts = [0] * 24
        self.listener = socket.create_server(tuple(spec["listen"]), backlog=spec["backlog"])
        self.listener.setblocking(False)
        # Those that it accepts inherit this, and the kernel need not switch it on for the first.
        self.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def address(self) -> tuple:
        """The target's address, looked up once there is a connection for it."""
        if self._address is None:
            self._address = socket.getaddrinfo(*self.target, type=socket.SOCK_STREAM)[0][4]
        return self._address

    def note_delivery(self, late: int) -> None:
        """Counts one, and by how many nanoseconds it was late."""
        self.chunks += 1
        self.late += late
        self.late_max = max(self.late_max, late)
        self.late_counts[min((late // 1000).bit_length(), 23)] += 1

    def note_refusal(self) -> None:
        """Says once in the log that the target takes no connections."""
        if not self.refused:
            print(f"{self.name}: {self.target[0]}:{self.target[1]} refused a connection", flush=True)
        self.refused += 1

    def account(self) -> dict:
        """What it has done so far."""
        return {
            "name": self.name,
            "connections": self.connections,
            "chunks": self.chunks,
            "bytes": self.bytes,
            "roundTrips": self.round_trips,
            "refused": self.refused,
            "clients": [{"host": peer[0], "port": peer[1]} for peer in self.clients.values()],
            "lateMs": self.late / 1e6,
            "lateMaxMs": self.late_max / 1e6,
            "lateCounts": self.late_counts,
        }


class End:
    """One of the two sockets of a connection."""

    __slots__ = (
        *("asked", "due", "events", "fd", "finished", "in_flight", "is_client", "leg", "other"),
        *("out", "shut", "sock"),
    )

    def __init__(self, leg: Leg, is_client: bool, due: int) -> None:
        self.leg = leg
        self.is_client = is_client
        #: When the last of what was sent from here is due at the other end.
        self.due = due
        self.other = self
        self.sock: socket.socket | None = None
        self.fd = -1
        #: What epoll watches.
        self.events = 0
        #: Bytes read here that are not written to the other end yet.
        self.in_flight = 0
        #: What is due here and does not fit into the kernel's buffer.
        self.out: deque = deque()
        #: Whether a client has asked and has no answer yet.
        self.asked = False
        #: Whether this end's own end was read.
        self.finished = False
        #: Whether the other end's end was handed on here.
        self.shut = False


class Relay:
    """All legs, in one loop."""

    def __init__(self, config: dict) -> None:
        self.epoll = select.epoll()
        self.timer = Timer(self.epoll)
        self.legs = [Leg(spec) for spec in config["legs"]]
        #: What is on its way: (due, a number for those that are due together, where, what).
        self.way: list[tuple] = []
        self.sent = 0
        #: How long handing on takes, on average over the last times.
        self.handing_on = 0
        self.control = socket.create_server(tuple(config["control"]))
        self.control.setblocking(False)
        self.listeners = {leg.listener.fileno(): leg for leg in self.legs}
        self.ends: dict[int, End] = {}
        for listener in (self.control, *(leg.listener for leg in self.legs)):
            self.epoll.register(listener, select.EPOLLIN)

    def run(self) -> None:
        """Relays until a signal ends the process."""
        ends, listeners, timer = self.ends, self.listeners, self.timer
        while True:
            self.deliver_due()
            if self.way:
                timer.wake_at(self.way[0][0] - self.handing_on)
            for fd, events in self.epoll.poll():
                end = ends.get(fd)
                if end is not None:
                    if events & select.EPOLLOUT:
                        self.flush(end)
                    if events & ~select.EPOLLOUT and end.sock is not None:
                        self.read(end)
                elif fd == timer.fd:
                    timer.woken()
                elif fd in listeners:
                    self.accept(listeners[fd])
                elif fd == self.control.fileno():
                    self.answer()

    def send(self, end: End, item, sent: int) -> None:
        """Puts on the way what was sent from an end at a time."""
        end.due = max(sent + end.leg.half, end.due)
        self.sent += 1
        heappush(self.way, (end.due, self.sent, end.other, item))

    def deliver_due(self) -> None:
        """Hands on what is due."""
        way = self.way
        while way:
            begun = now_ns()
            if way[0][0] - self.handing_on > begun:
                return
            due, _, end, item = heappop(way)
            if item is CONNECT:
                self.connect(end)
            elif end.sock is not None:
                self.deliver(end, item)
            done = now_ns()
            self.handing_on += (min(done - begun, MAX_ALLOWANCE) - self.handing_on) // 16
            end.leg.note_delivery(max(done - due, 0))

    def accept(self, leg: Leg) -> None:
        """Takes new connections, which the target sees after one and a half round trips."""
        for _ in range(64):
            try:
                sock, peer = leg.listener.accept()
            except OSError:
                return  # None is left, or its client has gone.
            leg.connections += 1
            leg.clients[sock.fileno()] = peer
            now = now_ns()
            client, server = End(leg, True, now), End(leg, False, now)
            client.other, server.other = server, client
            self.attach(client, sock)
            self.send(client, CONNECT, now + leg.rtt)

    def attach(self, end: End, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        end.sock = sock
        end.fd = sock.fileno()
        self.ends[end.fd] = end
        self.watch(end, select.EPOLLIN)

    def watch(self, end: End, events: int) -> None:
        if events == end.events:
            return
        # An end that is watched for nothing would still be reported as hung up, again and again.
        if events == 0:
            self.epoll.unregister(end.fd)
        elif end.events == 0:
            self.epoll.register(end.fd, events)
        else:
            self.epoll.modify(end.fd, events)
        end.events = events

    def connect(self, server: End) -> None:
        """Connects to the target."""
        self.attach(server, socket.socket())
        try:
            server.sock.connect(server.leg.address())
        except BlockingIOError:
            # What is due is written once it is connected; a refusal is read.
            self.watch(server, server.events | select.EPOLLOUT)
        except OSError as error:
            self.reset(server, error)

    def read(self, end: End) -> None:
        """Takes what a socket has received and sends it on its way."""
        try:
            item, told, _, _ = end.sock.recvmsg(CHUNK, 64)
        except BlockingIOError:
            return
        except OSError as error:
            self.reset(end, error)
            return
        sent = now_ns()
        if item:
            if told:
                # They have waited here since they arrived.
                seconds, rest = TIMESPEC.unpack(told[0][2])
                sent -= min(max(clock_ns() - seconds * 10**9 - rest, 0), end.leg.half)
            end.leg.bytes += len(item)
            end.in_flight += len(item)
            end.asked = end.is_client
            if end.in_flight > MAX_IN_FLIGHT:
                self.watch(end, end.events & ~select.EPOLLIN)
            self.send(end, item, sent)
        elif end.finished:
            self.reset(end)
        else:
            end.finished = True
            self.watch(end, end.events & ~select.EPOLLIN)
            self.send(end, END, sent)

    def deliver(self, end: End, item) -> None:
        """Hands on what has arrived."""
        if end.asked and item.__class__ is bytes:
            end.leg.round_trips += 1
            end.asked = False
        if end.out:
            end.out.append(item)
            return
        rest = self.write(end, item)
        if rest:
            end.out.append(rest)
            self.watch(end, end.events | select.EPOLLOUT)

    def flush(self, end: End) -> None:
        """Goes on where the kernel's buffer was full."""
        while end.out and end.sock is not None:
            rest = self.write(end, end.out[0])
            if rest:
                end.out[0] = rest
                return
            end.out.popleft()
        if end.sock is not None:
            self.watch(end, end.events & ~select.EPOLLOUT)

    def write(self, end: End, item) -> bytes | None:
        """Writes to a socket; returns what did not fit."""
        source = end.other
        if item is RESET:
            # With nothing to linger for, the kernel sends a reset.
            end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close(end)
            return None
        try:
            if item is END:
                end.shut = True
                end.sock.shutdown(socket.SHUT_WR)
                if source.shut:
                    self.close(end)
                    self.close(source)
                return None
            sent = end.sock.send(item)
        except BlockingIOError:
            return item
        except OSError as error:
            self.reset(end, error)
            return None
        source.in_flight -= sent
        if source.in_flight <= MAX_IN_FLIGHT and not source.finished and source.sock is not None:
            self.watch(source, source.events | select.EPOLLIN)
        return item[sent:] if sent < len(item) else None

    def reset(self, end: End, error: OSError | None = None) -> None:
        """A socket is lost: the other end is told, as over the network, by a reset."""
        if isinstance(error, ConnectionRefusedError):
            end.leg.note_refusal()
        self.close(end)
        self.send(end, RESET, now_ns())

    def close(self, end: End) -> None:
        if end.sock is None:
            return
        self.watch(end, 0)
        del self.ends[end.fd]
        end.leg.clients.pop(end.fd, None)
        end.out.clear()
        end.sock.close()
        end.sock = None

    def account(self) -> dict:
        """What all legs have done so far, and the process's CPU time in seconds."""
        return {"cpuS": time.process_time(), "legs": [leg.account() for leg in self.legs]}

    def answer(self) -> None:
        """Tells whoever asks."""
        try:
            sock, _ = self.control.accept()
        except OSError:
            return
        with sock:
            sock.sendall(json.dumps(self.account()).encode() + b"\n")


def main() -> None:
    """Reads what to do and does it."""

    def stop(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Two sockets for each connection.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        relay = Relay(json.loads(sys.argv[1]))
    except OSError as error:
        sys.exit(f"Cannot start the relay: {error}")
    # A collection need not look at what was loaded for good.
    gc.freeze()
    try:
        relay.run()
    finally:
        print(json.dumps(relay.account()), flush=True)


if __name__ == "__main__":
    main()
