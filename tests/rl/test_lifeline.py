import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from lapg_rl.machine import aborts, lifeline


class Ended(Exception):  # noqa: N818
    pass


@pytest.fixture
def watched(monkeypatch):
    """A process that watches two others: what it does when one of them says something, or nothing any more."""

    def leave(status):
        raise Ended(status)

    monkeypatch.setattr(lifeline.os, "_exit", leave)
    monkeypatch.setattr(aborts, "told", lambda: None)
    pairs = [socket.socketpair() for _ in range(2)]
    ours = {pair[0]: f"process {n} of 3 (on host, pid {n})" for n, pair in enumerate(pairs, start=1)}
    yield ours, [pair[1] for pair in pairs]
    for end in [end for pair in pairs for end in pair]:
        end.close()


def test_who_is_done_is_not_missed(watched):
    ours, theirs = watched
    for end in theirs:
        end.sendall(lifeline.DONE)
        end.close()
    lifeline._watch(ours, "runs/x")
    assert ours == {}


def test_who_is_gone_is_named_here_and_to_the_others(watched, capsys):
    ours, theirs = watched
    theirs[1].close()
    with pytest.raises(Ended, match="1"):
        lifeline._watch(ours, "runs/x")
    assert theirs[0].recv(1024) == b"process 2 of 3 (on host, pid 2)\n"
    assert capsys.readouterr().err == (
        "lapg train: process 2 of 3 (on host, pid 2) was lost, so this one stops too; runs/x is sound: start all of them again "
        "with the same command\n"
    )


def test_what_the_first_one_says_of_another_is_repeated(watched, capsys):
    ours, theirs = watched
    theirs[0].sendall(b"process 7 of 9 (on far, pid 3)\n")
    with pytest.raises(Ended):
        lifeline._watch(ours, "runs/x")
    assert "lapg train: process 7 of 9 (on far, pid 3) was lost" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "passed", "untold"),
    [
        ([b"a warning\n", b"another\n"], b"a warning\nanother\n", False),
        ([b"kept\n", b"E1 coordination_service.cc:1] x\n", b"  @ 0x7f stack\n"], b"kept\n", True),
        ([b"F1 client.h:86] the JAX distributed service detected fatal errors\n", aborts.TOLD], b"", False),
    ],
)
def test_the_stack_of_an_abort_is_held_back(lines, passed, untold):
    read, write = os.pipe()
    assert aborts._passed_on(iter(lines), write) is untold
    os.close(write)
    with os.fdopen(read, "rb") as out:
        assert out.read() == passed


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1, 2])
def test_one_of_three_processes_is_killed(killed, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "lapg_rl.commands.main", "train", "ipd-shaping-small", "meta_batch=6", "updates=9999"]
    line += ["batch=3", "learner.minibatches=1", "inner_episodes=2", "steps=2", "checkpoint_every=1"]
    line += ["--quiet", "--run", tmp_path / "run", "--distributed", "--coordinator", f"127.0.0.1:{port}"]
    line += ["--processes", "3"]
    three = [subprocess.Popen([*line, "--process", str(n)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    rows = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while not (rows.exists() and rows.read_bytes().count(b"\n") > 2) and time.monotonic() < deadline:
        assert {process.poll() for process in three} == {None}, [process.communicate()[1] for process in three]
        time.sleep(0.1)
    three[killed].send_signal(signal.SIGKILL)
    said = {n: process.communicate(timeout=30)[1] for n, process in enumerate(three)}
    assert three[killed].returncode == -signal.SIGKILL
    for n in {0, 1, 2} - {killed}:
        assert said[n].count("\n") == 1, said[n]
        assert f"process {killed}" in said[n]
        assert "was lost" in said[n]
        assert three[n].returncode in (1, -signal.SIGABRT)
