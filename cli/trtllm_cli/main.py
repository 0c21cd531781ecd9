"""Entry point of `trtllm` and `kubectl trtllm`. A command's module is imported only when that command runs."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

from trtllm_cli.options import COMMANDS, Command
from trtllm_cli.problem import Exit, Unreadable

VERSION = "0.1.0"
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # an escape for every character that cannot be encoded
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["__complete"]:
            from trtllm_cli.completion import candidates

            print(*candidates(words[1:]), sep="\n")
            return Exit.FINE
        return _run(words)
    except Unreadable as problem:
        print(f"error: {problem}", file=sys.stderr)
        return Exit.UNREADABLE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the reader closed the pipe; without this Python prints a second error when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FINE


def _run(words: list[str]) -> int:
    found = _parser().parse_args(words)
    if found.command == "completion":
        from trtllm_cli.completion import SCRIPTS

        sys.stdout.write(SCRIPTS[found.shell])
        return Exit.FINE
    result: int = import_module(f"trtllm_cli.{found.command}").run(found)
    return result


def _parser() -> ArgumentParser:
    called = Path(sys.argv[0]).name
    parser = ArgumentParser(
        "kubectl trtllm" if called.startswith("kubectl-") else "trtllm",
        description="Check and plan trtllm.dev resources, find causes of failures, print quality, watch builds.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trtllm {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.description, allow_abbrev=False)
        _add(sub, command)
    return parser


def _add(parser: ArgumentParser, command: Command) -> None:
    for name, option in command.long.items():
        spellings = [option.short, name] if option.short else [name]
        if not option.takes:
            parser.add_argument(*spellings, action="store_true", help=option.help)
            continue
        parser.add_argument(
            *spellings,
            metavar="|".join(option.choices) or option.takes,
            choices=option.choices or None,
            action="append" if option.many else "store",
            required=name == "--filename",
            help=option.help,
            **{**({"default": []} if option.many else {}), **option.settings},
        )
    name, about = command.argument
    if name:
        parser.add_argument(name, help=about, choices=command.choices or None)
