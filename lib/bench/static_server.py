"""A server that sends one constant answer to whatever comes, for the benchmarks of the generator.

It polls without pause, so that no client pays for waking it, and expects each request whole in one
read. Its port is its first line of output, the number of requests its last, at SIGTERM.
"""

import select
import signal
import socket

BODY = b'{"id":1,"title":"A post","body":"' + b"word " * 20 + b'"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: static\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


def main() -> None:
    running = True

    def stop(*_) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    connections = {}
    requests = 0
    while running:
        for number, _ in epoll.poll(0, 256):
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                epoll.register(connection.fileno(), select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                received = connection.recv(65_536)
                if received:
                    requests += 1
                    connection.send(ANSWER)
                    continue
            except OSError:
                pass
            epoll.unregister(number)
            connections.pop(number).close()
    print(requests, flush=True)


main()
