"""`lapg export`: a trained agent as a NumPy archive, to be played without JAX."""

import argparse
from pathlib import Path

EPILOGUE = """The archive holds one time step as a list of operations; numpy_player.py, which
is written beside it, needs NumPy and nothing else:

  agent = Player("agent.npz")
  state = agent.initial_state()
  state, (logits, value) = agent.step(state, observation)

example:
  lapg export runs/mine --agent 1 --out exported/agent.npz
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--agent", type=int, default=0, metavar="N", help="which of the run's agents (default 0)")
    parser.add_argument("--out", type=Path, default=Path("agent.npz"), metavar="FILE", help="default agent.npz")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write both files and say so."""
    from lapg_rl.runs.folder import RunFolder
    from lapg_rl.study.results import opened

    RunFolder(opened(arguments.run_folder)).check_trained()  # told before JAX is imported
    from lapg_rl.interop.numpy_export import export_numpy

    path = export_numpy(arguments.run_folder, arguments.out, arguments.agent)
    written = [str(path), str(path.with_name("numpy_player.py"))]
    if arguments.json:
        import json

        print(json.dumps({"agent": arguments.agent, "written": written}))
    else:
        print("\n".join(f"wrote {name}" for name in written))
    return 0
