"""Small copies of run folders, to keep: in a folder or an archive, with or without the agents."""

import itertools
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lapg_rl.config.checks import several
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import archive, records
from lapg_rl.study.results import LAST

#: A copied metrics file above this size is thinned.
LARGE = 64_000


def export(folders: str | Path | Iterable[str | Path], target: str | Path, *, agents: bool = False) -> None:
    """Copy what is worth keeping of each run into `target`: all but the checkpoints, long metrics thinned.

    With `agents` copies can play, in evaluations, tournaments and leagues, but not go on: their agents are kept as they are
    after the last update.

    A copy has the name of its folder, and where two have the same, with those of the folders around: mixed-seed0. A thinned
    file keeps every n-th update and the last 20, so headline numbers stay what they were. A target that ends in
    .zip becomes one archive.

    Example:
        >>> import lapg_rl as rl
        >>> rl.export([run], folder)
        >>> sorted(path.name for path in (folder / run.name).iterdir())
        ['config.toml', 'metrics.jsonl', 'provenance.jsonl']
    """
    folders, target = [Path(folder) for folder in several(folders)], Path(target)
    if target.suffix == ".zip":
        with tempfile.TemporaryDirectory() as loose:
            export(folders, Path(loose), agents=agents)
            archive.pack(Path(loose), target)
        return
    for folder, name in zip(folders, _distinct([folder.resolve().parts for folder in folders]), strict=True):
        copy = target / name
        copy.mkdir(parents=True, exist_ok=True)
        for file in ("config.toml", "provenance.jsonl", "balance.json", *records.FILES.values()):
            if (folder / file).exists():
                files.write(copy / file, files.read(folder / file))  # follows no link
        rows = RunFolder(folder).metrics()
        lines = [json.dumps(_short(row)) for row in rows]
        every = -(-sum(map(len, lines)) // LARGE)
        kept = [json.loads(line) for n, line in enumerate(lines) if n % every == 0 or n >= len(lines) - LAST]
        files.replace(copy / "metrics.jsonl", files.text_of(kept))
        if agents:
            RunFolder(folder).keep_agents(copy)


def _distinct(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Of each path as many of its last parts as tell all apart."""
    told = (["-".join(parts[-depth:]) for parts in paths] for depth in itertools.count(1))
    return next(names for names in told if len({*names}) == len({*paths}))


def _short(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _short(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_short(value) for value in data]
    return float(f"{data:.5g}") if isinstance(data, float) else data
