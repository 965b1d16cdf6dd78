"""One training step on many devices, of one process or of many: seeds, agents and games are split, the rest is repeated.

The mesh has three axes. Seeds and agents are independent within an update, so they are split first; games (meta-episodes, and
the sequences of a minibatch) share one gradient. Inside `spread` every device runs the same program on its `own` part and
`gathered` puts the parts together; outside of it both leave everything as it is.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from lapg_rl.config import Config

AXES = ("seeds", "agents", "games")
REPEATED = PartitionSpec()


def _shape(config: Config, seeds: int, count: int) -> tuple[int, int, int]:
    first = math.gcd(count, seeds)
    second = math.gcd(count // first, config.pool.agents)
    return first, second, count // first // second


def _units(config: Config) -> dict[str, int]:
    """What is split over the games axis, and must be a multiple of it."""
    learner = config.learner
    episodes = config.inner_episodes if learner.memory == "inner_episode" else 1
    sequences = config.meta_batch // learner.minibatches * config.batch * episodes
    return {f"meta-episodes against {kind}": n for kind, n in config.shares.items()} | {
        "sequences in a minibatch": sequences
    }


def make_mesh(config: Config, seeds: int = 1, count: int | Literal["all"] | None = None) -> Mesh | None:
    """The devices to train on, or None for the first one alone.

    Args:
        config: what is trained; it limits how finely an update can be split.
        seeds: how many runs are trained in one program.
        count: how many devices; None is one on a CPU, and else as many as the config allows. With several processes it is
            always all.

    Raises:
        ValueError: where there are not so many devices, or the config can't be split evenly over them.
    """
    devices = jax.devices()
    one = devices[0].platform == "cpu" and jax.process_count() == 1
    if count is None and one:
        return None
    if count is None and jax.process_count() == 1:
        count = next(n for n in range(len(devices), 0, -1) if not _indivisible(config, seeds, n))
    wanted = len(devices) if count in ("all", None) else count
    if not isinstance(wanted, int) or not 1 <= wanted <= len(devices):
        more = (
            "; on a CPU set XLA_FLAGS=--xla_force_host_platform_device_count=N" if devices[0].platform == "cpu" else ""
        )
        raise ValueError(f"--devices must be all or from 1 to {len(devices)}, got {wanted}: there are no more{more}")
    if jax.process_count() > 1 and wanted < len(devices):
        raise ValueError(f"--devices must be all with several processes, got {wanted} of {len(devices)}; leave it out")
    if wanted == 1:
        return None
    if left := _indivisible(config, seeds, wanted):
        raise ValueError(
            f"{wanted} devices leave {_shape(config, seeds, wanted)[2]} for the games, which must divide the {left}; change "
            "--devices, meta_batch, the shares in pool, or learner.minibatches"
        )
    return jax.make_mesh(
        _shape(config, seeds, wanted), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices[:wanted]
    )


def _indivisible(config: Config, seeds: int, count: int) -> str:
    games = _shape(config, seeds, count)[2]
    return ", ".join(f"{n} {name}" for name, n in _units(config).items() if n % games)


def _size(axis: str) -> int:
    """The number of parts along a mesh axis; 1 outside `spread`."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape[axis] if axis in mesh.manual_axes else 1


def own(tree: Any, axis: str) -> Any:
    """This device's part of every array, along the array's first axis."""
    if (parts := _size(axis)) == 1:
        return tree
    index = jax.lax.axis_index(axis)

    def part(x):
        size = len(x) // parts
        return jax.lax.dynamic_slice_in_dim(x, index * size, size)

    return jax.tree.map(lambda x: part(x) if eqx.is_array(x) else x, tree)


def gathered(tree: Any, axis: str) -> Any:
    """All devices' parts of every array, put together along the array's first axis."""
    if _size(axis) == 1:
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, axis, tiled=True) if eqx.is_array(x) else x, tree)


def averaged(tree: Any, axis: str = "games") -> Any:
    """The mean over devices, each of which has equally many units in its part."""
    return tree if _size(axis) == 1 else jax.tree.map(lambda x: jax.lax.pmean(x, axis), tree)


def spread(function: Callable[..., Any], mesh: Mesh | None) -> Callable[..., Any]:
    """`function` run by every device of `mesh` on the same arguments; what it returns must come out the same on all."""
    if mesh is None:
        return function

    def everywhere(*arguments):
        arrays, static = eqx.partition(arguments, eqx.is_array)
        kept = []

        def on_one(arrays):
            result, rest = eqx.partition(function(*eqx.combine(arrays, static)), eqx.is_array)
            kept.append(rest)
            return result

        shared = jax.shard_map(on_one, mesh=mesh, in_specs=REPEATED, out_specs=REPEATED, check_vma=False)
        return eqx.combine(shared(arrays), kept[-1])

    return everywhere


def place(tree: Any, mesh: Mesh | None) -> Any:
    """Every array on all devices of `mesh`, of other processes as well; each process must have the same values."""
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, REPEATED)

    def put(x):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        values = np.asarray(x)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(lambda x: put(x) if eqx.is_array(x) else x, tree)


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Become one of several processes that train one run; what is None is taken from Slurm, Open MPI or Kubernetes.

    Raises:
        ValueError: where something is neither given nor found, or the others can't be reached.
    """
    if "jax_enable_preemption_service" in jax.config.values:
        jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM away from us
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"the processes of --distributed did not find each other ({str(error).splitlines()[0]}); start them with srun, or "
            "give --coordinator HOST:PORT --processes N --process I"
        ) from None


def writes() -> bool:
    """Whether this process has the run folder: the first one only."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; all must ask."""
    return flag if jax.process_count() == 1 else bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def from_first(tree: Any) -> Any:
    """The arrays that the first process has; the others give a tree of the same shapes."""
    if jax.process_count() == 1:
        return tree
    arrays, static = eqx.partition(tree, eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)
    sent = multihost_utils.broadcast_one_to_all([np.asarray(x) for x in leaves])
    return eqx.combine(jax.tree.unflatten(structure, [jax.numpy.asarray(np.asarray(x)) for x in sent]), static)
