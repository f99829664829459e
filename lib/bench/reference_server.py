"""A server whose latency is known: it answers by a schedule, and writes down what it did.

Its first argument is the schedule as JSON: "delay" is how long each answer takes, either
{"constantMs"} or {"medianMs", "sigma"} (log-normal); "stall", which may be null, is {"everyMs",
"forMs"}: for so long, and so often, no answer leaves, and those that are due leave when it ends.
"seed" sets the log-normal's values. It polls without pause, so that it is on time.

Its port is its first line of output. At SIGTERM it prints what it did as one line of JSON, in µs
of Unix time: "stalls" and "pauses" as [begin, end], and "requests" in order of arrival as [read,
delay, written]. In a pause it did not look for requests, being busy or not let run.
"""

import heapq
import json
import math
import random
import select
import signal
import socket
import sys
import time
from time import perf_counter_ns

BODY = b'{"id":1}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)
PAUSE_US = 300
"""One turn of its loop that takes longer is a pause."""
EPOCH_OFFSET_US = time.time_ns() // 1000 - perf_counter_ns() // 1000


def now_us() -> int:
    return perf_counter_ns() // 1000 + EPOCH_OFFSET_US


def main() -> None:
    schedule = json.loads(sys.argv[1])
    delay, stall = schedule["delay"], schedule["stall"]
    draw = random.Random(schedule["seed"]).lognormvariate
    running = True

    def stop(*_) -> None:
        nonlocal running
        running = False

    def delay_us() -> int:
        if "constantMs" in delay:
            return int(delay["constantMs"] * 1000)
        return int(draw(math.log(delay["medianMs"]), delay["sigma"]) * 1000)

    signal.signal(signal.SIGTERM, stop)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    requests: list[list[int]] = []
    stalls: list[list[int]] = []
    pauses: list[list[int]] = []
    due: list[tuple[int, int, socket.socket]] = []
    is_stalled = False
    polled_us = now_us()
    next_stall_us = now_us() + stall["everyMs"] * 1000 if stall else math.inf
    while running:
        now = now_us()
        if is_stalled and now >= stalls[-1][0] + stall["forMs"] * 1000:
            is_stalled = False
            stalls[-1][1] = now
        if not is_stalled and now >= next_stall_us:
            is_stalled = True
            stalls.append([now, 0])
            next_stall_us += stall["everyMs"] * 1000
        while not is_stalled and due and due[0][0] <= now:
            _, request, connection = heapq.heappop(due)
            try:
                connection.send(ANSWER)
            except OSError:  # the client went away
                pass
            requests[request][2] = now = now_us()
        begin_us, polled_us = polled_us, now_us()
        if polled_us - begin_us > PAUSE_US:
            pauses.append([begin_us, polled_us])
        for number, _ in epoll.poll(0, 16):
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                epoll.register(connection.fileno(), select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                received = connection.recv(65_536)
            except OSError:
                received = b""
            if received:
                now, takes_us = now_us(), delay_us()
                heapq.heappush(due, (now + takes_us, len(requests), connection))
                requests.append([now, takes_us, 0])
            else:
                epoll.unregister(number)
                connections.pop(number).close()
    print(json.dumps({"stalls": stalls, "pauses": pauses, "requests": requests}), flush=True)


main()
