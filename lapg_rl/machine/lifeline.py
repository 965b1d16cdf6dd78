"""Processes that train one run notice at once when one of them is gone, and each says which it was in one line.

JAX alone notices after its heartbeat (100 s), or at once if it was the first process, and then aborts with the stack of its C++
program. Here every process keeps a connection to the first one, which the system closes when its process ends; who is done
says so before.
"""

import json
import os
import secrets
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import jax
import numpy as np
from jax.experimental import multihost_utils

from lapg_rl.machine import aborts
from lapg_rl.runs.progress import say

DONE = b"done\n"
_SECONDS = 60  # for all to connect
_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # a machine without power is noticed in 25 s


@contextmanager
def held(host: str | None, folder: str) -> Iterator[None]:
    """Inside, this process ends with status 1 as soon as another one of `jax.process_count()` does; all must enter.

    Args:
        host: where the others reach the first process, as JAX's coordinator; None for its host name.
        folder: the run folder, for the message.

    Raises:
        ValueError: where not all connect within a minute.
    """
    ends = _first(host) if jax.process_index() == 0 else _other()
    threading.Thread(target=_watch, args=(dict(ends), folder), daemon=True).start()
    yield
    for end in ends:
        with suppress(OSError):
            end.sendall(DONE)


def _first(host: str | None) -> dict[socket.socket, str]:
    """The connections to all others, and who they are."""
    token, ends = secrets.token_hex(16), {}
    with socket.create_server(("", 0)) as server:
        server.settimeout(_SECONDS)
        _told_to_all([host or socket.gethostname(), server.getsockname()[1], token])
        while len(ends) < jax.process_count() - 1:
            try:
                end, _ = server.accept()
            except TimeoutError:
                raise ValueError(
                    f"{len(ends) + 1} of {jax.process_count()} processes of --distributed connected to the first one within "
                    f"{_SECONDS} s; open its ports to the others"
                ) from None
            end.settimeout(_SECONDS)
            said = end.makefile("rb").readline(1024).decode(errors="replace").split("\t")
            if said[0] == token:
                end.settimeout(None)
                ends[_kept_alive(end)] = said[1].strip()
            else:
                end.close()
    return ends


def _other() -> dict[socket.socket, str]:
    host, port, token = _told_to_all(None)
    try:
        end = socket.create_connection((host, port), timeout=_SECONDS)
    except OSError as error:
        raise ValueError(
            f"process {jax.process_index()} of --distributed can't reach the first one at {host}:{port} ({error}); give "
            "--coordinator HOST:PORT with a name that all machines know, and open its ports to them"
        ) from None
    end.settimeout(None)
    end.sendall(f"{token}\t{_name()}\n".encode())
    return {_kept_alive(end): f"process 0 of {jax.process_count()} (on {host})"}


def _name() -> str:
    return f"process {jax.process_index()} of {jax.process_count()} (on {socket.gethostname()}, pid {os.getpid()})"


def _told_to_all(value: list | None) -> list:
    """What the first process says, in every process."""
    line = json.dumps(value).encode().ljust(1024)
    return json.loads(bytes(multihost_utils.broadcast_one_to_all(np.frombuffer(line, np.uint8))))


def _kept_alive(end: socket.socket) -> socket.socket:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ALIVE.items():
        if hasattr(socket, name):
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return end


def _watch(ends: dict[socket.socket, str], folder: str) -> None:
    """Wait for what comes over the connections: that one is done, who is lost, or the end."""
    with selectors.DefaultSelector() as waiting:
        for end in ends:
            waiting.register(end, selectors.EVENT_READ, end)
        while ends:
            for key, _ in waiting.select():
                end = key.data
                try:
                    said = end.recv(1024)
                except OSError:
                    said = b""
                if not said.startswith(DONE):
                    _leave(said.decode(errors="replace").strip() or ends[end], ends, folder)
                waiting.unregister(end)
                del ends[end]


def _leave(lost: str, ends: dict[socket.socket, str], folder: str) -> None:
    for end in ends:
        with suppress(OSError):
            end.sendall(f"{lost}\n".encode())
    aborts.told()
    say(f"lapg train: {aborts.lost(lost, folder)}")
    os._exit(1)
