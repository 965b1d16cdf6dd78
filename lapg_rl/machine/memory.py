"""Whether a run can fit into memory, told before anything is built: lower bounds of what its largest parts need."""

import math
import os
from pathlib import Path

from lapg_rl.config import Config, ModelConfig, tables

FLOAT = 4
#: Of a step of one player: an observation of at least five bytes, action, log-probability, value, reward.
STEP = 5 + 4 * FLOAT


def parameters(model: ModelConfig) -> int:
    """A lower bound of the number of a policy's parameters: its square matrices alone."""
    return tables.row(model.kind, tables.MODELS).least(model)


def needs(config: Config) -> dict[str, int]:
    """Lower bounds in bytes, by the keys that they grow with: what is in memory at once in one update of one run."""
    pool, own, naive = config.pool, parameters(config.model), parameters(config.naive_model)
    copies = 3 if config.learner.optimiser == "adam" else 1
    candidates = config.learner.population if config.learner.algorithm == "shaper" else 0
    return {
        "meta_batch, batch, inner_episodes or steps": 2 * STEP * math.prod(
            (config.meta_batch, config.batch, config.inner_episodes, config.steps)
        ),
        "pool.agents or the sizes in model": FLOAT * pool.agents * own * copies,
        "pool.naive_population or the sizes in model": FLOAT * pool.naive_population * naive,
        "learner.population or the sizes in model": FLOAT * candidates * own,
        "learner.epochs or meta_batch": FLOAT * config.learner.epochs * config.meta_batch,
    }  # fmt: skip


def installed() -> float:
    """The bytes of memory that this machine, or the container that this process is in, has; infinite where none can say."""
    found: list[float] = [math.inf]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            found.append(int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):
            continue
    return float(min(found))


def check(config: Config, seeds: int = 1, there: float | None = None) -> None:
    """Refuse a run that cannot fit.

    Args:
        config: of the run.
        seeds: how many such runs one program trains.
        there: bytes; by default the machine's memory.

    Raises:
        ValueError: it names what is needed at least, what is there, and the keys that the largest part grows with.
    """
    parts = needs(config)
    total, there = seeds * sum(parts.values()), installed() if there is None else there
    if total > there:
        several = f" for {seeds} seeds together" if seeds > 1 else ""
        raise ValueError(
            f"this needs at least {total / 1e9:.3g} GB of memory{several}, and there are {there / 1e9:.3g} GB; lower "
            f"{max(parts, key=parts.__getitem__)}"
        )
