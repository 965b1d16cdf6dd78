"""`lapg explore`: the theory of a pool behind sliders, in a browser on this machine."""

import argparse
import importlib.util
import json
import secrets
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

#: Nobody but this machine can connect.
HOST = "127.0.0.1"
EPILOGUE = """The page is served to this machine alone, to whoever has the token in its
address. Ctrl-C ends it. From another machine: ssh -L PORT:127.0.0.1:PORT.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("--port", type=int, default=0, metavar="N", help="where to listen (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--json", action="store_true", help="print the address as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    if importlib.util.find_spec("marimo") is None:
        raise ValueError('this needs marimo, which is not installed; pip install ".[explore]"')
    if not 0 <= arguments.port <= 65535:
        raise ValueError(f"--port must be from 0 to 65535, got {arguments.port}; 0 takes a free one")
    port, token = _free(arguments.port), secrets.token_urlsafe(16)
    page = Path(__file__).parents[1] / "explorer" / "app.py"
    line = [
        sys.executable,
        "-m",
        "marimo",
        "--quiet",
        "--yes",
        "run",
        str(page),
        "--headless",
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    # the token comes by standard input: command lines can be seen by everybody on the machine
    with subprocess.Popen([*line, "--token", "--token-password-file", "-"], stdin=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        server.stdin.write(token)
        server.stdin.close()
        try:
            _await(server, port)
            address = f"http://{HOST}:{port}/?access_token={token}"
            print(json.dumps({"address": address}) if arguments.json else f"{address}\nCtrl-C ends it", flush=True)
            if not arguments.no_browser:
                webbrowser.open(address)
            return 1 if server.wait() else 0
        except KeyboardInterrupt:  # which is how it is to end
            return 130
        finally:
            server.terminate()


def _free(port: int) -> int:
    """A port that can be listened at. Raises ValueError where that is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError as error:
            raise ValueError(
                f"--port {port} cannot be used ({error.strerror}); leave it out to take a free one"
            ) from None
        return trial.getsockname()[1]


def _await(server: "subprocess.Popen[str]", port: int, limit: float = 60.0) -> None:
    """Wait until the server takes connections. Raises ValueError where it ends before."""
    until = time.monotonic() + limit
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as trial:
            if trial.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise ValueError(f"marimo did not start (status {server.poll()}); what it says stands above")
