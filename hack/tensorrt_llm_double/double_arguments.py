"""Command lines of a release's programs, made from the facts about it (double_upstream.py)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from double_upstream import Option, Program

_KINDS: Mapping[str | None, Callable[[str], Any]] = {"int": int, "float": float, "Path": Path}
_CACHE_TYPES = ("continuous", "paged", "disabled")


def parser_of(program: Program) -> argparse.ArgumentParser:
    """Parser of trtllm-build or of a convert_checkpoint.py: argparse, exit code 2."""
    shown = "convert_checkpoint.py" if program.name.startswith("convert-") else program.name
    parser = argparse.ArgumentParser(prog=shown, description="A double: see README.")
    for option in program.options:
        common: dict[str, Any] = {"dest": option.dest, "required": option.required}
        if option.takes == "nothing":
            parser.add_argument(*option.names, action="store_true", **common)
            continue
        kind = _KINDS.get(option.kind, str)
        many = {"optional value": "?", "list": "+"}.get(option.takes)
        if many == "?":
            common["const"] = option.default
        parser.add_argument(
            *option.names,
            type=_cache_type if option.kind == "KVCacheType" else kind,
            choices=[kind(str(choice)) for choice in option.choices] or None,
            default=argparse.SUPPRESS if option.absent else option.default,
            nargs=many,
            **common,
        )
    return parser


def command_of(program: Program, call: Callable[..., object]) -> click.Command:
    """Command of trtllm-serve: click, exit code 2; `call` gets the model and the options by their names."""
    parameters = [_parameter(option) for option in program.options]
    return click.Command(program.name, params=parameters, callback=call, help="A double: see README.")


def _parameter(option: Option) -> click.Parameter:
    if option.takes == "positional":
        return click.Argument([option.dest], type=str)
    names = [*option.names, option.dest]
    if option.takes == "nothing":
        return click.Option(names, is_flag=True, default=False)
    kind: Any = _KINDS.get(option.kind, str)
    if option.choices:
        kind = _Choice(option.choices, option.aliases or {})
    elif option.kind == "path (existing)":
        kind = click.Path(exists=True)
    return click.Option(names, type=kind, default=option.default, multiple=option.takes == "repeated")


class _Choice(click.Choice[str]):
    """Choices, some of which have further spellings."""

    def __init__(self, choices: tuple[str, ...], aliases: Mapping[str, str]) -> None:
        super().__init__(choices)
        self._aliases = aliases

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept any spelling of a choice."""
        return super().convert(self._aliases.get(value, value), param, ctx)


def _cache_type(text: str) -> str:
    if text not in _CACHE_TYPES:
        raise argparse.ArgumentTypeError(f"invalid KVCacheType value: {text!r}")
    return text
