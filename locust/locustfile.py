"""The load: users that send the contract's mix of requests one after another and check each answer.

By hand, with Locust's own web UI:

    locust -f locust/locustfile.py --host http://127.0.0.1:8000

Environment, all optional:

POOLSCOPE_CONTRACT           the contract's file (default: apps/contract.json of this checkout)
POOLSCOPE_SEED               seed of all random choices (default: 1)
POOLSCOPE_THINK_TIME_MIN_S   shortest and longest pause of a user between two requests
POOLSCOPE_THINK_TIME_MAX_S   (default: 0)
POOLSCOPE_RUN_FOLDER         see recorder.py
"""

import itertools
import json
import os
import random
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.monkey
import gevent.resolver.blocking
import recorder
from locust import FastHttpUser, between, events

ROUTES = json.loads(
    Path(
        os.environ.get("POOLSCOPE_CONTRACT")
        or Path(__file__).resolve().parent.parent / "apps" / "contract.json"
    ).read_text(encoding="utf-8")
)["routes"]
SEED = int(os.environ.get("POOLSCOPE_SEED", "1"))
THINK_TIME_S = (
    float(os.environ.get("POOLSCOPE_THINK_TIME_MIN_S", "0")),
    float(os.environ.get("POOLSCOPE_THINK_TIME_MAX_S", "0")),
)
JSON = "application/json"


@events.init.add_listener
def on_init(environment, **_) -> None:
    random.seed(SEED)  # Locust draws the tasks and think times from it, in order of completion
    # gevent looks addresses up in threads, and threads starve while the event loop is busy: users
    # would wait for seconds before their first request.
    gevent.get_hub().resolver = gevent.resolver.blocking.Resolver()
    recorder.install(environment)


# The system's own: gevent's would let all other users run first.
Poll = gevent.monkey.get_original("select", "poll")


def is_open(sock: socket.socket) -> bool:
    """Whether the server has neither closed an idle connection nor sent anything on it."""
    poll = Poll()
    try:
        poll.register(sock.fileno(), select.POLLIN)
    except ValueError:  # our side has closed it
        return False
    return not poll.poll(0)


def request_task(route: dict) -> Callable[["AppUser"], None]:
    """A Locust task, named as the contract names the route."""

    def task(user: "AppUser") -> None:
        user.send(route)

    task.__name__ = route["name"]
    return task


class AppUser(FastHttpUser):
    """Keeps one connection open and has one request in flight, if any."""

    tasks = {request_task(route): route["weight"] for route in ROUTES}
    wait_time = between(*THINK_TIME_S)

    # A server that hangs fails the request after a minute, and does not hold the user for ever.
    connection_timeout = 60.0
    network_timeout = 60.0
    concurrency = 1
    max_redirects = 0

    in_flight: tuple[tuple[str, str], int] | None = None
    """(method, name) and start, in perf_counter nanoseconds, of the request without an answer."""

    numbers = itertools.count(1)

    def __init__(self, environment) -> None:
        super().__init__(environment)
        self.random = random.Random(SEED * 1_000_003 + next(self.numbers))
        agent = self.client.client
        agent.valid_response_codes = range(100, 600)  # check() decides
        agent.cookiejar = None  # the contract has no cookies
        connections = agent.clientpool.get_client(self.host)._connection_pool
        # One attempt for each request: geventhttpclient would silently repeat it when the server
        # closes the connection, and the server would see more requests than are counted.
        connections.size = -1
        # Its own check before each request uses select(), which lets all other users run within
        # the measured time, and which fails for descriptors above 1023: beyond a thousand users,
        # each request would open a new connection.
        connections._is_socket_alive = is_open

    def send(self, route: dict) -> None:
        """Sends one request of a route, with random parameters, and checks the answer."""
        values = {"path": {}, "body": {}}
        for parameter, rule in route["parameters"].items():
            values[rule["in"]][parameter] = self.random.randint(rule["min"], rule["max"])
        method, name = route["name"].split(" ")
        self.in_flight = (method, name), time.perf_counter_ns()
        try:
            with self.client.request(
                method,
                route["path"].format(**values["path"]),
                name=name,
                json={**route["body"], **values["body"]} if "body" in route else None,
                catch_response=True,
            ) as response:
                if response.request_meta["exception"] is None:
                    check(response, route)
        finally:
            self.in_flight = None


def check(response, route: dict) -> None:
    """Fails a request whose answer is not the contract's."""
    if response.status_code != route["status"]:
        response.failure(f"HTTP {response.status_code}")
    elif not response.headers.get("content-type", "").startswith(JSON) or not response.content:
        response.failure("wrong body")
