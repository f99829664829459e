"""The routes of an app: their requests, with random parameters, and checks of the answers."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

JSON = "application/json"
JSON_BYTES = JSON.encode()
TYPES = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def encode(value: str | float | bool) -> str:
    """A value as a path or a query string has it."""
    return quote(value if isinstance(value, str) else json.dumps(value), safe="")


def escape(text: str) -> str:
    return text.replace("%", "%%")


def fill(text: str) -> str:
    """A header's value with those variables of the reader's that stand in it, as in ${TOKEN}."""
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ["POOLSCOPE_HEADER_" + found[1]], text)


class Parameter:
    """What one parameter draws: whole numbers of a range, or texts of a list."""

    def __init__(self, rule: dict, in_body: bool) -> None:
        values = rule.get("values")
        self.texts = values and [json.dumps(v) if in_body else encode(v) for v in values]
        self.low = 0 if values else rule["min"]
        self.count = len(values) if values else rule["max"] - rule["min"] + 1


class Route:
    """One route. `key` is (method, name), as in Locust's statistics."""

    def __init__(self, route: dict, json_checks: dict | None) -> None:
        self.method, self.name = self.key = tuple(route["name"].split(" ", 1))
        self.weight = route["weight"]
        self.status = route.get("status")
        self.headers = {name: fill(text) for name, text in route.get("headers", {}).items()}
        self.json_checks = route.get("json", json_checks)
        """None: bodies are not looked at; empty: some JSON; else what stands at dotted paths."""
        rules = route.get("parameters", {})
        path = escape(route["path"])
        for name, rule in rules.items():
            if rule["in"] == "query":
                path += f"{'&' if '?' in path else '?'}{escape(encode(name))}={{{name}}}"
        # As often and in the order in which the path has them.
        spots = [spot.split("}")[0] for spot in path.split("{")[1:]]
        in_path = [name for name in spots if name in rules]
        for name in in_path:
            path = path.replace(f"{{{name}}}", "%s")
        body = dict(route.get("body", {}))
        body |= {name: "\0" for name, rule in rules.items() if rule["in"] == "body"}
        in_body = [name for name, value in body.items() if value == "\0"]
        self._parameters = [Parameter(rules[name], False) for name in in_path]
        self._parameters += [Parameter(rules[name], True) for name in in_body]
        self._in_path = len(in_path)
        self._path = path
        text = escape(json.dumps(body)).replace('"\\u0000"', "%s")
        self._body = text if "body" in route else None

    def draw(self, random: Random) -> tuple[str, str | None]:
        """A path, and a body if the route has one, with random parameters."""
        values = []
        for parameter in self._parameters:
            number = parameter.low + int(random.random() * parameter.count)
            values.append(parameter.texts[number] if parameter.texts else number)
        n = self._in_path
        path = self._path % tuple(values[:n])
        return path, None if self._body is None else self._body % tuple(values[n:])

    def prepare(self, prefix: str, headers: str) -> Callable[[Random], tuple[str, bytes]]:
        """What makes requests of the route: their path, and all their bytes.

        `prefix` is what stands before each path; `headers` end with a line break.
        """
        head = f"{self.method} "
        headers += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        if self._body is not None:
            headers += f"Content-Type: {JSON}\r\nAccept: {JSON}\r\n"

            def with_body(random: Random) -> tuple[str, bytes]:
                path, body = self.draw(random)
                path = prefix + path
                text = f"{path} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
                return path, (head + text).encode("latin-1")

            return with_body
        tail = f" HTTP/1.1\r\n{headers}\r\n"
        if not self._parameters:
            path = prefix + self._path % ()
            constant = path, (head + path + tail).encode("latin-1")
            return lambda _: constant
        if len(self._parameters) == 1 and not self._parameters[0].texts:
            low, count = self._parameters[0].low, self._parameters[0].count
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
        if self.json_checks is None:
            return None
        if not (content and content_type.startswith(JSON_BYTES)):
            return "wrong body"
        return check_json(content, self.json_checks) if self.json_checks else None


def check_json(content: bytes, checks: dict) -> str | None:
    """The first dotted path of an answer at which something else stands than is asked for."""
    try:
        answer = json.loads(content)
    except ValueError:
        return "wrong body"
    for path, asked in checks.items():
        found = answer
        for key in path.split("."):
            try:
                found = found[int(key) if isinstance(found, list) else key]
            except (LookupError, TypeError, ValueError):
                return f"wrong body: no {path}"
        kind = asked.get("type") if isinstance(asked, dict) else None
        if isinstance(kind, str):
            right = isinstance(found, TYPES[kind])
            right = right and (kind == "boolean" or not isinstance(found, bool))
        else:
            right = found == asked
        if not right:
            return f"wrong body: {path}"
    return None


def read_routes(file: Path) -> list[Route]:
    """The routes of a contract's file that have a weight."""
    contract = json.loads(file.read_text(encoding="utf-8"))
    json_checks = {} if "cases" in contract else None
    return [Route(route, json_checks) for route in contract["routes"] if route["weight"] > 0]
