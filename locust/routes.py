"""The routes of a contract: their requests, with random parameters, and checks of the answers."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

JSON = "application/json"
JSON_BYTES = JSON.encode()


class Route:
    """One route. `key` is (method, name), as in Locust's statistics."""

    def __init__(self, route: dict, checks_body: bool) -> None:
        self.method, self.name = self.key = tuple(route["name"].split(" ", 1))
        self.weight = route["weight"]
        self.status = route.get("status")
        self.checks_body = checks_body
        ranges = {"path": [], "body": []}
        path = route["path"].replace("%", "%%")
        body = dict(route.get("body", {}))
        for name, rule in route.get("parameters", {}).items():
            ranges[rule["in"]].append((rule["min"], rule["max"] - rule["min"] + 1))
            if rule["in"] == "path":
                path = path.replace(f"{{{name}}}", "%d")
            else:
                body[name] = "\0"
        self._ranges = ranges["path"] + ranges["body"]
        self._in_path = len(ranges["path"])
        self._path = path
        text = json.dumps(body).replace("%", "%%").replace('"\\u0000"', "%d")
        self._body = text if "body" in route else None

    def draw(self, random: Random) -> tuple[str, str | None]:
        """A path, and a body if the route has one, with random parameters."""
        values = [low + int(random.random() * count) for low, count in self._ranges]
        n = self._in_path
        path = self._path % tuple(values[:n])
        return path, None if self._body is None else self._body % tuple(values[n:])

    def prepare(self, prefix: str, headers: str) -> Callable[[Random], tuple[str, bytes]]:
        """What makes requests of the route: their path, and all their bytes.

        `prefix` is what stands before each path; `headers` end with a line break.
        """
        head = f"{self.method} "
        if self._body is not None:
            headers += f"Content-Type: {JSON}\r\nAccept: {JSON}\r\n"

            def with_body(random: Random) -> tuple[str, bytes]:
                path, body = self.draw(random)
                path = prefix + path
                text = f"{path} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
                return path, (head + text).encode("latin-1")

            return with_body
        tail = f" HTTP/1.1\r\n{headers}\r\n"
        if not self._ranges:
            path = prefix + self._path % ()
            constant = path, (head + path + tail).encode("latin-1")
            return lambda _: constant
        if len(self._ranges) == 1:
            ((low, count),) = self._ranges
            template = (prefix.replace("%", "%%")) + self._path

            def with_one(random: Random) -> tuple[str, bytes]:
                path = template % (low + int(random.random() * count))
                return path, f"{head}{path}{tail}".encode("latin-1")

            return with_one

        def with_several(random: Random) -> tuple[str, bytes]:
            path = prefix + self.draw(random)[0]
            return path, f"{head}{path}{tail}".encode("latin-1")

        return with_several

    def verdict(self, status: int, content_type: bytes, content: bytes) -> str | None:
        """What is wrong with an answer; None when it is the contract's."""
        expected = self.status
        if status != expected and (expected is not None or not 200 <= status < 300):
            return f"HTTP {status}"
        if self.checks_body and not (content and content_type.startswith(JSON_BYTES)):
            return "wrong body"
        return None


def read_routes(file: Path) -> list[Route]:
    """The routes of a contract's file that have a weight."""
    contract = json.loads(file.read_text(encoding="utf-8"))
    checks_body = "cases" in contract
    return [Route(route, checks_body) for route in contract["routes"] if route["weight"] > 0]
