"""Commands that are interrupted, that nobody reads, or that find no device: one line, and no run lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lapg_rl import config
from lapg_rl.commands import process
from lapg_rl.commands.main import main
from lapg_rl.runs import checkpoint, processes
from lapg_rl.runs.folder import RunFolder
from lapg_rl.runs.preemption import Preempted

ROOT = Path(__file__).parents[2]
LAPG = [sys.executable, "-m", "lapg_rl.commands.main"]
TINY = [
    *("train", "ipd-shaping", "updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"),
    *("model.kind=tabular", "naive_population=2", "minibatches=1", "epochs=1"),
]


def lapg(*words, shell=None, **how):
    """A command line in a process of its own; `shell` goes around it."""
    how.setdefault("env", os.environ | {"PYTHONPATH": str(ROOT)})
    line = [*LAPG, *map(str, words)]
    if shell:
        line = ["sh", "-c", shell.replace("LAPG", f'"{sys.executable}" -m lapg_rl.commands.main')]
    return subprocess.run(line, capture_output=True, text=True, timeout=100, **how)


def test_the_version_is_told():
    done = lapg("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("lapg 0.")


def test_a_reader_that_leaves_and_a_full_device_are_no_tracebacks(tmp_path):
    done = lapg(shell="LAPG train --list | head -1", cwd=tmp_path)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    done = lapg(shell="LAPG train --list >/dev/full", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in done.stderr
    done = lapg(shell="LAPG train --list >&-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "closed",
    [
        ">&- 2>&- <&-",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("2>/dev/full", ">/dev/full", "2>&1 | true")),
    ],
)
def test_a_run_that_nobody_listens_to_is_trained(closed, tmp_path):
    lapg(shell=f"LAPG {' '.join(TINY)} --run '{tmp_path}/a run' {closed}", cwd=tmp_path)
    assert [row["update"] for row in RunFolder(tmp_path / "a run").metrics()] == [0, 1]
    assert checkpoint.folder(tmp_path / "a run" / "checkpoints", 2).exists()


SLOW_IMPORT = "import time\nprint('begun', flush=True)\ntime.sleep(30)\n"


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 75, "SIGTERM"), (signal.SIGHUP, 75, "SIGHUP")],
)
def test_a_signal_while_modules_are_imported_gives_one_line(number, status, words, tmp_path):
    """A stand-in for a module that takes long to import lies before the others on the path."""
    (tmp_path / "cattrs.py").write_text(SLOW_IMPORT)
    where = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    ran = subprocess.Popen(
        [*LAPG, "train", "ipd-shaping"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | where,
    )
    assert ran.stdout.readline() == "begun\n"
    ran.send_signal(number)
    said = ran.communicate(timeout=30)[1]
    assert (ran.returncode, said.count("\n")) == (status, 1)
    assert said.startswith("lapg train: ") and words in said


@pytest.mark.parametrize(("number", "what"), [(signal.SIGTERM, "stopped by SIGTERM"), (signal.SIGINT, "interrupted")])
def test_after_a_signal_saved_things_are_spoken_of_only_where_there_are_any(number, what):
    said = {name: process.saying(number, f"lapg {name}") for name in ("sweep", "theory")}
    assert said["sweep"] == f"{what}; what was saved is kept, and the same command carries on"
    assert said["theory"] == f"{what} before it was done; the same command begins anew"


def test_an_interrupt_that_an_import_swallows_still_counts(monkeypatch, capsys):
    def swallowed():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return 0

    monkeypatch.setattr("lapg_rl.commands.main._run", lambda _: swallowed())
    assert main(["compare", "x"]) == 130
    assert capsys.readouterr().err == "lapg compare: interrupted before it was done; the same command begins anew\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


STEPPED_OUT = """
import sys, time
from lapg_rl.runs import processes
sys.executable = {stand_in!r}
processes.train_each([{folder!r}], jobs=1)
"""
STAND_IN = """#!/bin/sh
echo $$ > {folder}/pid
cat > /dev/null
echo ended > {folder}/ended
"""


def test_runs_side_by_side_end_with_the_process_that_started_them(tmp_path):
    """The run is a stand-in that ends when its standard input does; the next test has the other half."""
    (tmp_path / "stand-in").write_text(STAND_IN.format(folder=tmp_path))
    (tmp_path / "stand-in").chmod(0o755)
    code = STEPPED_OUT.format(stand_in=str(tmp_path / "stand-in"), folder=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(tmp_path / "pid")
    parent.kill()
    parent.wait()
    wait_for(tmp_path / "ended")
    assert (tmp_path / "ended").exists()


def test_a_process_whose_parent_is_gone_stops_as_by_sigterm():
    code = "from lapg_rl.commands import process; import time; process.end_with_parent(); print(1, flush=True); time.sleep(30)"
    where = {"PYTHONPATH": str(ROOT), processes.WITH_PARENT: "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | where
    )
    assert child.stdout.readline() == b"1\n"
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(timeout=10) == -signal.SIGTERM
    child.stdout.close()


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def test_ctrl_c_reaches_the_first_process_only_and_is_passed_on(tmp_path, monkeypatch):
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(f"#!/bin/sh\ntrap 'echo saved > {tmp_path}/saved; exit 75' TERM\ntouch {tmp_path}/begun\n")
    with stand_in.open("a") as file:
        file.write("while :; do sleep 0.05; done\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    original = processes.wait

    def interrupted(*arguments, **options):
        if (tmp_path / "begun").exists():
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(processes, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        processes.train_each([tmp_path], jobs=1)
    assert (tmp_path / "saved").exists()


TOLD = {
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted"),
    "reader gone": (BrokenPipeError(32, "Broken pipe"), 141, ""),
    "full disk": (OSError(28, "No space left on device", "here/x"), 2, "here/x: No space left on device; make room"),
    "mistake": (ValueError("seed must be an integer"), 2, "seed must be an integer"),
    "diverged": (FloatingPointError("loss"), 1, "loss"),
    "nested": (RecursionError(), 2, "nested too deeply"),
    "no memory": (MemoryError(), 2, "out of memory; lower meta_batch"),
    "machine taken away": (
        Preempted(Path("runs/x"), 7),
        75,
        "7 updates are saved, carry on with `lapg train --resume runs/x`",
    ),
    "after one": (Preempted(Path("x"), 1), 75, "; 1 update is saved, carry on"),
    "a bug": (KeyError("x"), None, ""),
}


@pytest.mark.parametrize("case", TOLD)
def test_every_error_that_is_not_ours_has_a_status_and_a_line(case):
    error, status, words = TOLD[case]
    found, line = process.told(error)
    assert found == status and words in line and "\n" not in line


def test_no_text_steers_the_terminal(capsys):
    assert process.one_line("a\nb\x1b[2J\u202e\ud800 é") == "a b\\x1b[2J\\u202e\\ud800 é"
    assert main(["train", "ipd-shaping", "name=\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [["train", "ipd-shaping", "--run", ""], ["compare", " "], ["train", "--resume", ""], ["sweep", "x", "--root", ""]],
)
def test_an_empty_path_is_refused(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(line)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert "a path must not be empty" in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_jax_told_to_use_a_gpu_that_is_not_there(tmp_path):
    if processes.gpus():
        pytest.skip("there is one")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cuda"}
    done = lapg(*TINY, "--run", tmp_path / "r", env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re_device(done.stderr)
    assert not (tmp_path / "r" / "metrics.jsonl").exists()


def re_device(text):
    return text.startswith("lapg train: JAX cannot use the device it is told to (") and "JAX_PLATFORMS=cpu" in text


def test_the_canary_of_rank_8_checks_its_value_when_asserts_are_off():
    """A reduction that is wrong by a factor is noticed under python -O, too."""
    from lapg_rl.machine import canaries

    wrong = canaries._RANK8.replace("jnp.log(6.0)", "jnp.log(5.0)")
    assert subprocess.run([sys.executable, "-O", "-c", wrong], capture_output=True).returncode == 1


def test_without_fcntl_a_run_is_locked_another_way(tmp_path):
    """As on Windows, which has msvcrt; here a stand-in that locks with what there is."""
    code = f"""
import sys, types, fcntl, pathlib
def locking(handle, how, count): fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=1)
sys.modules["fcntl"] = None
from lapg_rl.runs.lock import locked
with locked(pathlib.Path({str(tmp_path)!r})):
    try:
        with locked(pathlib.Path({str(tmp_path)!r})): pass
    except ValueError as error: print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "another process is training" in done.stdout


def test_an_interrupted_run_says_so_once(monkeypatch, capsys):
    monkeypatch.setattr("lapg_rl.runs.loop.train_together", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert main(["train", "ipd-shaping", "--run", "a run"]) == 130
    assert capsys.readouterr().err == "\nlapg: interrupted; carry on with `lapg train --resume 'a run'`\n"


def test_hints_quote_the_folder(tmp_path):
    from lapg_rl.runs.preemption import Preempted

    assert "--resume 'a run'`" in str(Preempted(Path("a run"), 3))
    with pytest.raises(ValueError, match=r"--run '.*/a run'`"):
        RunFolder(tmp_path / "a run").config()


MISTAKES = {
    **dict.fromkeys(
        (
            f"{command} nowhere"
            for command in ("evaluate", "compare", "train --resume", "tournament", "watch", "report", "report --quick")
        ),
        "nowhere holds no run",
    ),
    "compare run": "run has no metrics yet",
    "evaluate run tftt": "unknown co-player 'tftt'; did you mean tft",
    "evaluate run new": "new has no sound checkpoint yet",
    "evaluate run --meta-batch 0": "--meta-batch must be an integer >= 1, got 0",
    "evaluate run --seed -1": "--seed must be an integer >= 0, got -1",
    "tournament run --meta-batch 0": "--meta-batch must be an integer >= 1, got 0",
    "tournament run new": "new has no sound checkpoint yet",
    "watch new": "new has no sound checkpoint yet",
    "balance nowhere": "unknown preset nowhere",
    "balance new": "new has no sound checkpoint yet",
    "balance ipd-shaping --batches 4,0": "--batches must be an integer >= 1, got 0",
    "balance ipd-shaping --meta-batch 2": "--meta-batch must be an integer >= 3, got 2",
    "report run --figure x.bmp": "--figure must end in .svg, .png or .pdf, got x.bmp",
    "demo --seeds 0": "--seeds must be an integer >= 1, got 0",
    "demo estimater=lapg": "did you mean estimator",
    "sweep ipd-shaping estimator=lapg,mfoss": "did you mean mfos?",
    "sweep ipd-shaping estimator=lapg learner.estimator=mfos": "are one key",
    "sweep ipd-shaping seed=1,2 --jobs 0": "--jobs must be an integer >= 1, got 0",
    "sweep ipd-shaping seed=1,2 --root run/config.toml": "--root must be a folder, got run/config.toml",
}


def test_a_refusal_needs_no_jax(tmp_path):
    """Where the theory's own package does not import it either; arguments are checked before seconds of imports."""
    (tmp_path / "run" / "checkpoints" / "step_000000002").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    for name in ("run", "new"):
        config.save(config.preset("ipd-shaping-small"), tmp_path / name / "config.toml")
    code = (
        f"LINES = {MISTAKES}"
        + """
import sys
import lapg_rl.config
known = "jax" in sys.modules
from lapg_rl.commands.main import main
for line in LINES:
    assert main(line.split()) == 2, line
    assert not {"optax", "lapg_rl.learn.training_step", "scipy.stats", "matplotlib"} & set(sys.modules), line
    assert known or "jax" not in sys.modules, line
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(MISTAKES)
    for (line, words), found in zip(MISTAKES.items(), said, strict=True):
        assert found.startswith(f"lapg {line.split()[0]}: ") and words in found


def test_what_is_measured_is_kept_before_it_is_printed(tmp_path, monkeypatch):
    from lapg_rl.commands import evaluate
    from lapg_rl.study.records import Evaluation

    def unprintable(*_, **__):
        assert (tmp_path / "ev.json").exists()
        raise BrokenPipeError

    monkeypatch.setattr(evaluate, "RunFolder", lambda _: type("Run", (), {"check_trained": lambda self: None})())
    monkeypatch.setattr(evaluate, "check_opponents", lambda *_: [])
    monkeypatch.setattr("lapg_rl.study.evaluation.evaluate", lambda *_, **__: Evaluation(1, 2, 0, [], []))
    monkeypatch.setattr("builtins.print", unprintable)
    assert main(["evaluate", str(tmp_path), "alld", "--out", str(tmp_path / "ev.json")]) == 141


def test_names_that_the_terminal_cannot_show_are_spelled_out(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = lapg("train", "ipd-shaping", "größer=1", env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gr\\xf6\\xdfer" in done.stderr
