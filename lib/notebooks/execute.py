"""Executes notebooks, several side by side, and saves each, whatever happens.

usage: execute.py JOBS_FILE --kernel NAME --at-once N --parent PID [--timeout SECONDS]

The file holds a JSON list of jobs: input, output, cwd, and env to add for the kernel. Says on
standard output, as one JSON object a line, what it is at; "notebook" is the job's place in the list.
Exit status: 0 all done, 1 a cell failed or a kernel died (said as an "error" event; the other
notebooks go on), 130 or 143 stopped by a signal.
"""

import argparse
import os
import signal
import sys

from lifeline import die_with_parent


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs")
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--at-once", type=int, required=True, help="kernels side by side")
    parser.add_argument("--parent", type=int, required=True, help="pid of the process that starts us")
    parser.add_argument("--timeout", type=float, default=None, help="seconds for each cell")
    return parser.parse_args()


# Before the slow imports: nothing would tell us later that the parent died meanwhile.
OPTIONS = read_arguments()
die_with_parent(OPTIONS.parent)

import asyncio
import contextlib
import functools
import json
import pathlib
import uuid
from queue import Empty

# jsonschema would compile a grammar of internet addresses with it, which takes two seconds; absent, as
# it is where JupyterLab is not installed, nothing is missed.
sys.modules["rfc3987_syntax"] = None

import nbformat
from jupyter_client.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionComplete,
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)

# An output of megabytes takes its time.
IOPUB_TIMEOUT_S = 60
MARK_AFTER_IDLE_S = 1
# A kernel that says nothing for so long after a cell has no more outputs, whatever became of the mark.
SILENCE_S = 10


class CompleteClient(NotebookClient):
    """Reads all of a cell's outputs. The Deno kernel may say that it is idle before it has sent the
    outputs that it has queued, so a mark is queued behind them and awaited. It is sent by a client of
    its own: sending on a socket on which a reply is awaited can swallow the news that it has come."""

    marker = None

    async def _async_poll_output_msg(self, parent_msg_id, cell, cell_index):
        mark = f"end of outputs {uuid.uuid4()}"
        # What is sent late names the request that runs then, which is the mark's.
        requests = [parent_msg_id]
        marked, idle, timeout = False, False, None
        while True:
            try:
                message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=timeout))
            except Empty:
                return
            request, content = message["parent_header"].get("msg_id"), message["content"]
            if request not in requests:
                continue
            if content.get("text") == f"{mark}\n":
                marked = True
                # A request that comes before the kernel is idle again may stay without an answer.
                if idle:
                    return
                continue
            if request != parent_msg_id and message["msg_type"] in ("status", "execute_input"):
                if content.get("execution_state") == "idle":
                    if marked:
                        return
                    # Without a mark by then there is none: the notebook has changed console.log.
                    idle, timeout = True, MARK_AFTER_IDLE_S
                continue
            try:
                self.process_message(message, cell, cell_index)
            except CellExecutionComplete:
                show_mark = f"console.log({json.dumps(mark)})"
                requests.append(self.marker.execute(show_mark, store_history=False))
                timeout = SILENCE_S


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


def save(notebook, path):
    partial = path.with_name(path.name + ".partial")
    nbformat.write(notebook, partial)
    partial.replace(path)


def describe(error):
    """The error in one line, without the source that nbclient puts around it."""
    if isinstance(error, CellTimeoutError):
        return "took longer than the timeout"
    if isinstance(error, DeadKernelError):
        return "the kernel died"
    if isinstance(error, CellExecutionError):
        name, value = error.ename, error.evalue
        return value if value.startswith(f"{name}:") or not name else f"{name}: {value}"
    return f"{type(error).__name__}: {error}"


@contextlib.asynccontextmanager
async def started_kernel(client, job):
    """Starts a client's kernel; nothing of its process group stays."""
    client.create_kernel_manager()
    try:
        await client.async_start_new_kernel(
            cwd=job["cwd"],
            env={**os.environ, **job["env"]},
            # A group of its own comes with the kernel; it must not outlive us either.
            preexec_fn=functools.partial(die_with_parent, os.getpid()),
        )
        kernel = client.km.provisioner.pid if client.km.provisioner else None
        try:
            await client.async_start_new_kernel_client()
            client.marker = client.km.client()
            client.marker.start_channels(iopub=False, stdin=False, hb=False, control=False)
            yield
        finally:
            await end(client, kernel)
    finally:
        for channels in (client.kc, client.marker):
            if channels is not None:
                channels.stop_channels()


class Execution:
    """One notebook's execution."""

    def __init__(self, place, job):
        self.place, self.job = place, job
        self.notebook = nbformat.read(job["input"], as_version=4)
        self.code_cells = [
            index for index, cell in enumerate(self.notebook.cells) if cell.cell_type == "code"
        ]
        for index in self.code_cells:
            cell = self.notebook.cells[index]
            cell.outputs, cell.execution_count = [], None
        self.running = None
        """The index of the cell that runs."""

    def say(self, event, **values):
        say(event, notebook=self.place, **values)

    def save(self):
        save(self.notebook, pathlib.Path(self.job["output"]))

    async def run(self):
        """Executes the cells. Returns whether all of them succeeded."""
        try:
            try:
                await self.execute_cells()
            finally:
                self.save()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - said, whatever it is
            # A file that cannot be written is no fault of the cell's. (A cell's timeout is an OSError.)
            unsaved = isinstance(error, OSError) and not isinstance(error, CellTimeoutError)
            inside = self.running is not None and not unsaved
            cell = self.running + 1 if inside else None
            source = self.notebook.cells[self.running].source if inside else ""
            self.say("error", cell=cell, source=source, message=describe(error))
            return False
        self.say("done")
        return True

    async def execute_cells(self):
        client = CompleteClient(
            self.notebook,
            kernel_name=OPTIONS.kernel,
            timeout=OPTIONS.timeout,
            iopub_timeout=IOPUB_TIMEOUT_S,
            record_timing=False,
        )
        total = len(self.code_cells)
        async with started_kernel(client, self.job):
            try:
                reply = await client.async_wait_for_reply(await ensure_async(client.kc.kernel_info()))
                if reply is not None:
                    self.notebook.metadata["language_info"] = reply["content"]["language_info"]
                for number, self.running in enumerate(self.code_cells, 1):
                    self.say("cell", number=number, total=total)
                    cell = self.notebook.cells[self.running]
                    await client.async_execute_cell(cell, self.running, execution_count=number)
                    self.save()
                self.running = None
            except (asyncio.CancelledError, DeadKernelError):
                # nbclient takes a cancelled cell for a dead kernel. Stopped, what the cell runs gets
                # a chance to clean up before the kernel must go.
                if asyncio.current_task().cancelling():
                    await interrupt(client)
                    raise asyncio.CancelledError from None
                raise


async def interrupt(client):
    """Sends the interrupt that a user would, and waits a little for the cell to end."""
    try:
        await ensure_async(client.km.interrupt_kernel())
        for _ in range(50):
            if not await ensure_async(client.km.is_alive()):
                return
            try:
                await ensure_async(client.kc.shell_channel.get_msg(timeout=0.1))
                return
            except Empty:
                continue
    except Exception as error:  # noqa: BLE001 - it is ended in any case
        print(error, file=sys.stderr)


async def end(client, kernel):
    """Shuts the kernel down; nothing of its process group stays."""
    try:
        await ensure_async(client.km.shutdown_kernel(now=True))
    finally:
        if kernel is not None:
            try:
                os.killpg(kernel, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass


async def run_all():
    """Executes all jobs. Returns the exit status."""
    jobs = json.loads(pathlib.Path(OPTIONS.jobs).read_text(encoding="utf-8"))
    executions = [Execution(place, job) for place, job in enumerate(jobs)]
    free = asyncio.Semaphore(OPTIONS.at_once)

    async def run_when_free(execution):
        async with free:
            return await execution.run()

    # The longest first: it would else run alone at the end.
    executions.sort(key=lambda execution: -len(execution.code_cells))
    everything = asyncio.gather(*map(run_when_free, executions))
    stopped_by = []

    def stop(name):
        if not stopped_by:
            stopped_by.append(name)
            everything.cancel()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop, name)
    try:
        return 0 if all(await everything) else 1
    except asyncio.CancelledError:
        return 128 + stopped_by[0]


sys.exit(asyncio.run(run_all()))
