"""Where the metrics of a run go besides its folder, whose metrics.jsonl stays the truth: live, or after the fact."""

import hashlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.config.loading import described
from lapg_rl.config.tables import LOGGERS, check_name, find, row
from lapg_rl.interfaces import Logger, check_protocol
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.runs.progress import say

#: What `log=` takes for one logger: a name or address, or what opens one.
Opens = str | Callable[[Config, Path], Logger]


def openers(log: Opens | Sequence[Opens]) -> dict[str, Callable[[Config, Path], Logger]]:
    """What opens each logger, by its name; nothing is opened. `log` is comma-separated names, a function, or several.

    Raises:
        ValueError: for an unknown name, an address that leads nowhere, or a package that is not installed.
    """
    found = {}
    for one in [log] if isinstance(log, str) or callable(log) else log:
        if callable(one):
            name = getattr(one, "__name__", type(one).__name__)
            names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
            found[next(free for free in names if free not in found)] = one
            continue
        for name in filter(None, (part.strip() for part in one.split(","))):
            check_name("log", name, LOGGERS)
            needs = row(name, LOGGERS).needs
            if needs and importlib.util.find_spec(needs) is None:
                raise ValueError(f'log {name} needs {needs}, which is not installed; pip install ".[{name}]"')
            found[name] = find("log", name, LOGGERS)
    return found


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """A row of metrics as a logger gets it: of several agents the mean, under the metric's name, and each as `name/0`, ..."""
    flat = {}
    for name, values in metrics.items():
        if name != "update":
            flat[name] = sum(values) / len(values)
            flat |= {f"{name}/{n}": value for n, value in enumerate(values)} if len(values) > 1 else {}
    return flat


class Logs:
    """The loggers of one run, told all rows that it has, then the new ones. One that fails is named and told no more."""

    def __init__(self, run: RunFolder, cfg: Config, makers: Mapping[str, Callable[[Config, Path], Logger]]):
        self.run, self.loggers = run, {}
        try:
            for name, opens in makers.items():
                self.loggers[name] = _opened(name, opens, cfg, run.path)
        except BaseException:
            self.close()
            raise
        for metrics in run.metrics() if self.loggers else ():
            self.tell(metrics)

    def tell(self, metrics: Mapping[str, Any]) -> None:
        """Pass on a row of metrics."""
        for name, logger in list(self.loggers.items()):
            self._try(name, metrics["update"], lambda logger=logger: logger.log(metrics["update"], numbers(metrics)))

    def close(self) -> None:
        """End all; nothing is told after that."""
        for name, logger in list(self.loggers.items()):
            self._try(name, "the end", logger.close)
        self.loggers = {}

    def _try(self, name: str, when: Any, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:  # whatever it is, training does not depend on it
            with suppress(Exception):
                self.loggers.pop(name).close()
            say(
                f"lapg: log {name} of {self.run.path} failed at update {when} and is told no more ({described(error)}); the "
                "run goes on, and metrics.jsonl has everything"
            )


def log(folder: str | Path, to: Opens | Sequence[Opens]) -> int:
    """Give all metrics of a run to loggers, after the fact; the number of updates that it has.

    Args:
        folder: the run folder.
        to: "tensorboard", "wandb", an address `package.module:name`, or a function `(config, folder) -> Logger`; or several.

    Raises:
        ValueError: where the folder holds no run or its metrics are damaged, or a logger fails; see also `openers`.

    Example:
        >>> import lapg_rl as rl
        >>> class Printer:
        ...     def log(self, update, values):
        ...         print(update, "reward_vs_naive" in values)
        ...     def close(self):
        ...         pass
        >>> rl.log(run, lambda config, folder: Printer())
        0 True
        1 True
        2
    """
    makers, run = openers(to), RunFolder(folder)
    cfg, rows = run.config(), run.metrics()
    for name, opens in makers.items():
        logger = _opened(name, opens, cfg, run.path)
        try:
            try:
                for metrics in rows:
                    logger.log(metrics["update"], numbers(metrics))
            finally:
                logger.close()
        except Exception as error:  # of any kind: a package's, or the user's code
            raise ValueError(
                f"log {name} of {run.path} failed ({described(error)}); mend that and log it again"
            ) from error
    return len(rows)


def _opened(name: str, opens: Callable[[Config, Path], Logger], cfg: Config, folder: Path) -> Logger:
    try:
        return check_protocol(f"log {name}", opens(cfg, folder), Logger)
    except Exception as error:  # of any kind: a package's, or the user's code
        raise ValueError(f"log {name} of {folder} cannot be opened ({described(error)})") from error


class TensorBoard:
    """One event file in `RUN/tensorboard`, written anew: it holds every update. Tags are the metrics' names."""

    def __init__(self, cfg: Config, folder: Path):
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        self._event, self._summary = event_pb2.Event, event_pb2.Event().summary.__class__
        place = _own_folder(folder, "tensorboard")
        for old in place.glob("events.out.tfevents.*.lapg"):
            old.unlink()
        # Its usual writer hands events to a thread, and waits for ever where that has ended, as on a full disk.
        self._file = EventsWriter(str(place.resolve() / "events"), ".lapg")
        restart = event_pb2.SessionLog(
            status=event_pb2.SessionLog.START
        )  # a TensorBoard that is open drops what it had
        self._file.write_event(self._event(step=0, session_log=restart))
        text = "".join(f"    {line}\n" for line in config.dumps(cfg).splitlines())  # Markdown shows it as it is
        self._file.write_event(self._event(step=0, summary=summary.text("config", text)))

    def log(self, update: int, values: Mapping[str, float]) -> None:
        """Write the values, and let readers see them."""
        scalars = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._file.write_event(self._event(step=update, summary=self._summary(value=scalars)))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class WeightsAndBiases:
    """A run of the project `lapg`, or WANDB_PROJECT; WANDB_MODE=offline keeps it in `RUN/wandb` for `wandb sync`.

    Config and metrics are sent, and nothing of the machine or the source. A run that is resumed goes on under its name there.
    """

    def __init__(self, cfg: Config, folder: Path):
        import wandb

        _own_folder(folder, "wandb")
        begun = RunFolder(folder).provenance()  # whose first line stays what it is
        same = hashlib.sha256(repr(begun[0] if begun else cfg).encode()).hexdigest()[:16]
        alone = wandb.Settings(
            console="off", disable_git=True, disable_code=True, x_disable_meta=True, x_disable_stats=True,
            x_disable_machine_info=True, x_save_requirements=False, silent=True,
        )  # fmt: skip
        offline = os.environ.get("WANDB_MODE") == "offline"
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "lapg"), name=folder.resolve().name, id=f"lapg-{same}", dir=folder,
            config=config.to_dict(cfg), resume=None if offline else "allow", settings=alone, reinit="create_new",
        )  # fmt: skip

    def log(self, update: int, values: Mapping[str, float]) -> None:
        """Add the values; those that the server has are the same, and left out."""
        if update >= self._run.step:
            self._run.log(dict(values), step=update)

    def close(self) -> None:
        """End the run there."""
        self._run.finish()


def _own_folder(folder: Path, name: str) -> Path:
    """A folder within a run's, made if needed. Raises ValueError where a link or a file has its name."""
    place = folder / name
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise ValueError(f"{place} is no folder of this run, but a link or a file; remove it")
    place.mkdir(exist_ok=True)
    files.sync(folder)
    return place
