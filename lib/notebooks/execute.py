"""Executes one notebook and saves it, whatever happens.

usage: execute.py INPUT OUTPUT --cwd FOLDER --kernel NAME --parent PID [--timeout SECONDS]

Says on standard output, as one JSON object a line, what it is at. Exit status: 0 done, 1 a cell
failed or the kernel died (said as an "error" event), 130 or 143 stopped by a signal.
"""

import argparse
import os
import signal
import sys

from lifeline import die_with_parent


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--cwd", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--parent", type=int, required=True, help="pid of the process that starts us")
    parser.add_argument("--timeout", type=float, default=None, help="seconds for each cell")
    return parser.parse_args()


# Before the slow imports: nothing would tell us later that the parent died meanwhile.
OPTIONS = read_arguments()
die_with_parent(OPTIONS.parent)

import asyncio
import functools
import json
import pathlib
import time
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

# The Deno kernel may say that it is idle before the outputs that it has queued are sent.
QUIET_AFTER_IDLE_S = 0.25
# An output of megabytes takes its time.
IOPUB_TIMEOUT_S = 60


class PatientClient(NotebookClient):
    """Keeps reading a cell's outputs until none has come for a while after the kernel went idle."""

    async def _async_poll_output_msg(self, parent_msg_id, cell, cell_index):
        idle = False
        while True:
            try:
                timeout = QUIET_AFTER_IDLE_S if idle else None
                message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=timeout))
            except Empty:
                return
            if message["parent_header"].get("msg_id") != parent_msg_id:
                continue
            try:
                self.process_message(message, cell, cell_index)
            except CellExecutionComplete:
                idle = True


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


async def run(client, notebook, output, cwd):
    code_cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    total = len(code_cells)
    stopped_by = []
    index = None

    async def execute():
        nonlocal index
        # A group of its own comes with the kernel; it must not outlive us either.
        die_with_us = functools.partial(die_with_parent, os.getpid())
        async with client.async_setup_kernel(cwd=cwd, preexec_fn=die_with_us):
            loop = asyncio.get_running_loop()
            for name in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(name, stop, name)
            kernel = client.km.provisioner.pid if client.km.provisioner else None
            try:
                reply = await client.async_wait_for_reply(await ensure_async(client.kc.kernel_info()))
                if reply is not None:
                    notebook.metadata["language_info"] = reply["content"]["language_info"]
                for number, index in enumerate(code_cells, 1):
                    say("cell", cell=index + 1, number=number, total=total)
                    started = time.monotonic()
                    await client.async_execute_cell(
                        notebook.cells[index], index, execution_count=number
                    )
                    seconds = round(time.monotonic() - started, 3)
                    say("cell_done", cell=index + 1, number=number, total=total, seconds=seconds)
                    save(notebook, output)
                index = None
            except (asyncio.CancelledError, DeadKernelError):
                # nbclient takes a cancelled cell for a dead kernel. Stopped, what the cell runs gets
                # a chance to clean up before the kernel must go.
                if stopped_by:
                    await interrupt(client)
                raise
            finally:
                await end(client, kernel)

    task = asyncio.ensure_future(execute())

    def stop(name):
        if not stopped_by:
            stopped_by.append(name)
            task.cancel()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop, name)
    try:
        await task
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - saved, whatever it is
        save(notebook, output)
        if stopped_by:
            return 128 + stopped_by[0]
        source = notebook.cells[index].source if index is not None else ""
        say("error", cell=None if index is None else index + 1, source=source, message=describe(error))
        return 1
    save(notebook, output)
    say("done")
    return 0


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


def main(options):
    notebook = nbformat.read(options.input, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = PatientClient(
        notebook,
        kernel_name=options.kernel,
        timeout=options.timeout,
        iopub_timeout=IOPUB_TIMEOUT_S,
        record_timing=False,
        resources={"metadata": {"path": options.cwd}},
    )
    sys.exit(asyncio.run(run(client, notebook, pathlib.Path(options.output), options.cwd)))


main(OPTIONS)
