"""`lapg doctor`: whether this machine's JAX computes right, on the device that it would train on."""

import argparse
import functools
import importlib.metadata
import json
import platform

import jax

from lapg_rl import __version__
from lapg_rl.machine.canaries import CANARIES, Canary
from lapg_rl.native import library

PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy", "scipy")

REMEDY = """
Do not trust what lapg computes here. What to do:
  * Install a JAX release that lapg allows: {jax} (`python3 run.py -- doctor` sets one up in .venv).
  * On an accelerator, see whether the processor is sound: JAX_PLATFORMS=cpu lapg doctor. If it is, compute there,
    or change the driver or the CUDA variant (run.py --cuda12, --cuda13)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def _allowed() -> str:
    """The releases of JAX that lapg allows, as far as its installation says so."""
    try:
        needed = importlib.metadata.requires("lapg") or []
    except importlib.metadata.PackageNotFoundError:  # the source on the path
        needed = []
    return next((line for line in needed if line.startswith("jax")), "see pyproject.toml")


def examine(canary: Canary) -> tuple[bool, str]:
    """(Whether the canary is alive, what it measured in words); an exception is a dead canary."""
    try:
        measured = canary.measure()
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".splitlines()[0]
    return measured <= canary.limit, f"{measured:.2g} {canary.unit} (limit {canary.limit:g})".replace("  ", " ")


def run(arguments: argparse.Namespace) -> int:
    """Print versions, devices and each canary's verdict; 1 if one failed, else 0."""
    say = (lambda *words: None) if arguments.json else functools.partial(print, flush=True)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    devices = [f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices()]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    say(f"lapg {__version__}, Python {platform.python_version()}, {listed}\n{platform.platform()}")
    say("devices:", ", ".join(devices))
    kernels = library.loaded().words
    say("native kernels:", kernels)
    found = {}
    for name, canary in CANARIES.items():
        found[name] = alive, words = examine(canary)
        say(f"{'ok  ' if alive else 'FAIL'}  {name:20} {words}")
    failed = [name for name, (alive, _) in found.items() if not alive]
    say(REMEDY.format(jax=_allowed()) if failed else "Sound: every canary is within its limit.")
    if arguments.json:
        canaries = {name: {"alive": alive, "measured": words} for name, (alive, words) in found.items()}
        about = {"lapg": __version__, "python": platform.python_version(), **versions}
        machine = {"versions": about, "devices": devices, "kernels": kernels}
        print(json.dumps({"sound": not failed, **machine, "canaries": canaries}, indent=1))
    return min(len(failed), 1)
