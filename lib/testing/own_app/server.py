"""A shop of one file, as an app of the reader's own: no nonce, no timings, its own tables."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import psycopg

local = threading.local()


def connection() -> psycopg.Connection:
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect("", autocommit=True)  # libpq's variables say the rest
    return local.connection


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path  # a request may name the whole address, which this server keeps
        if path == "/healthz":
            self.answer(200, {"status": "ok"})
            return
        if path == "/slow":
            time.sleep(30)
        sku = path.removeprefix("/items/")
        row = connection().execute("SELECT stock FROM items WHERE sku = %s", (sku,)).fetchone()
        self.answer(200, {"sku": sku, "stock": row[0]}) if row else self.answer(404, {})

    def do_POST(self) -> None:
        if self.headers["authorization"] != "Bearer open-sesame-4711":
            self.answer(401, {})
            return
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with connection().transaction():
            connection().execute(
                "UPDATE items SET stock = stock - 1 WHERE sku = %s", (order["sku"],)
            )
            row = connection().execute(
                "INSERT INTO orders (sku) VALUES (%s) RETURNING id", (order["sku"],)
            ).fetchone()
        self.answer(201, {"id": row[0]})

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
