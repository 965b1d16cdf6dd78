"""`lapg completion`: a script that lets a shell complete commands, options and their values."""

import argparse

EPILOGUE = """examples:
  lapg completion bash > ~/.local/share/bash-completion/completions/lapg
  lapg completion zsh > ~/.zfunc/_lapg       in a folder of $fpath
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the argument."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="whose script to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from lapg_rl.commands import main

    try:
        import shtab
    except ImportError:
        raise ValueError('this needs shtab, which is not installed; pip install ".[completion]"') from None
    whole = main.parser()
    list(main.helps(whole))  # every command declares its options
    print(shtab.complete(whole, shell=arguments.shell))
    return 0
