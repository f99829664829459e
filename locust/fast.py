"""The same through Locust's FastHttpUser, without silent retries, redirects and cookies."""

import select
import socket
from collections.abc import Callable
from random import Random
from time import perf_counter_ns

import gevent
import gevent.monkey
from clock import EPOCH_OFFSET_US
from locust import FastHttpUser
from routes import JSON, Route

# The system's own: gevent's would let all other users run first.
Poll = gevent.monkey.get_original("select", "poll")
JSON_HEADERS = {"Content-Type": JSON, "Accept": JSON}


def is_open(sock: socket.socket) -> bool:
    """Whether the server has neither closed an idle connection nor sent anything on it."""
    poll = Poll()
    try:
        poll.register(sock.fileno(), select.POLLIN)
    except ValueError:  # our side has closed it
        return False
    return not poll.poll(0)


class FastUser(FastHttpUser):
    """Keeps one connection open and has one request in flight, if any."""

    abstract = True
    timeout_s = 60.0
    concurrency = 1
    max_redirects = 0

    def __init__(self, environment) -> None:
        self.connection_timeout = self.network_timeout = self.timeout_s
        super().__init__(environment)
        agent = self.client.client
        agent.valid_response_codes = range(100, 600)  # the route's check decides
        agent.cookiejar = None  # the contract has no cookies
        connections = agent.clientpool.get_client(self.host)._connection_pool
        # One attempt for each request: geventhttpclient would silently repeat it when the server
        # closes the connection, and the server would see more requests than are counted.
        connections.size = -1
        # Its own check before each request uses select(), which lets all other users run within
        # the measured time, and which fails for descriptors above 1023: beyond a thousand users,
        # each request would open a new connection.
        connections._is_socket_alive = is_open

    def exchange(
        self, route: Route, random: Random, event_of: Callable | None = None, intended_ns: int = 0
    ) -> None:
        """Sends one request and checks its answer; `event_of` says which event is to be fired by
        the intended start."""
        path, body = route.draw(random)
        start_ns = perf_counter_ns()
        with self.client.request(
            route.method,
            path,
            name=route.name,
            data=body,
            headers=route.headers | JSON_HEADERS if body is not None else route.headers,
            catch_response=True,
        ) as response:
            meta = response.request_meta
            service_us = int(meta["response_time"] * 1000)
            end_us = perf_counter_ns() // 1000 + EPOCH_OFFSET_US
            intended_us = response_us = 0
            if intended_ns:
                intended_us = intended_ns // 1000 + EPOCH_OFFSET_US
                response_us = end_us - intended_us
                meta["response_time"] = response_us / 1000
            meta["timing"] = (intended_us, end_us - service_us, service_us, response_us)
            if event_of is not None:
                response._request_event = event_of(intended_ns)
            if meta["exception"] is None:
                content_type = response.headers.get("content-type", "").encode("latin-1")
                wrong = route.verdict(response.status_code, content_type, response.content)
                if wrong is not None:
                    response.failure(wrong)


class FastSender:
    """One connection of an open loop's pool, and a greenlet for each of its requests."""

    def __init__(self, arrivals, user: FastUser) -> None:
        self.arrivals = arrivals
        self.user = user
        self.end_ns = 0

    def is_open(self) -> bool:
        return True

    def close(self) -> None:
        self.user.client.client.close()

    def send_arrival(self, route: Route, intended_ns: int) -> None:
        self.route = route
        self.intended_ns = intended_ns
        self.start_ns = perf_counter_ns()
        gevent.spawn(self._exchange)

    def _exchange(self) -> None:
        self.start_ns = perf_counter_ns()
        try:
            arrivals = self.arrivals
            self.user.exchange(self.route, arrivals.random, arrivals.event_of, self.intended_ns)
        finally:
            self.end_ns = perf_counter_ns()
            self.arrivals.on_done(self)
