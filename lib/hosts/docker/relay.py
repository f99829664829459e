"""Runs in a container of the study's network and does there what its standard input asks for:
opens connections to services, and reads files of the host's kernel.

Frames go both ways: kind (1 byte), number of the connection or question (4), length (4), payload;
big-endian. In: O opens a connection to the payload's "host:port", D is its data, C its end, R asks
for the payload's file. Out: D and C as above, R the file. It ends with its input.
"""

import asyncio
import struct
import sys

HEADER = struct.Struct(">cII")
CHUNK = 65536


def send(kind: bytes, number: int, payload: bytes = b"") -> None:
    sys.stdout.buffer.write(HEADER.pack(kind, number, len(payload)) + payload)
    sys.stdout.buffer.flush()


async def connect(number: int, address: str, queue: asyncio.Queue) -> None:
    """One connection, from its opening to its end; what is to be sent comes by the queue."""
    host, _, port = address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        send(b"C", number)
        return

    async def forward() -> None:
        while payload := await reader.read(CHUNK):
            send(b"D", number, payload)

    forwarding = asyncio.create_task(forward())
    forwarding.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (payload := await queue.get()) is not None:
            writer.write(payload)
            await writer.drain()
    except OSError:
        pass  # The service has closed it, which the last frame says.
    finally:
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)
        writer.close()
        send(b"C", number)


def read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


async def main() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    queues: dict[int, asyncio.Queue] = {}
    tasks = set()
    while True:
        try:
            kind, number, length = HEADER.unpack(await reader.readexactly(HEADER.size))
            payload = await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            return
        if kind == b"O":
            queues[number] = asyncio.Queue()
            task = asyncio.create_task(connect(number, payload.decode(), queues[number]))
            tasks.add(task)
            task.add_done_callback(
                lambda done, number=number: (tasks.discard(done), queues.pop(number, None))
            )
        elif kind == b"R":
            send(b"R", number, read_file(payload.decode()))
        elif number in queues:
            queues[number].put_nowait(payload if kind == b"D" else None)


asyncio.run(main())
