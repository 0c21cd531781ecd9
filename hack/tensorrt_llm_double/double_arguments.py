"""Strict command lines from trtllm_api's tables of flags: what a version does not know, its double refuses."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import click

from trtllm_planner.commands.flags import Flag, FlagTable, Kind

_TYPES: dict[Kind, Callable[[str], Any]] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.NUMBER: float}


def parser_of(table: FlagTable, program: str) -> argparse.ArgumentParser:
    """As trtllm-build and convert_checkpoint.py read theirs: argparse, exit code 2."""
    parser = argparse.ArgumentParser(prog=program, description="A double: see README.")
    for flag in table.flags:
        if flag.kind is Kind.SWITCH:
            parser.add_argument(*flag.names, dest=_key(flag), action="store_true")
            continue
        kind = _TYPES[flag.kind]
        parser.add_argument(
            *flag.names,
            dest=_key(flag),
            type=kind,
            default=flag.default,
            choices=[kind(choice) for choice in flag.choices] or None,
            nargs="+" if flag.many else None,
        )
    return parser


def command_of(table: FlagTable, program: str, call: Callable[..., object]) -> click.Command:
    """As trtllm-serve reads its own: click, exit code 2; `call` gets the model and the flags by their names."""
    options: list[click.Parameter] = [click.Argument(["model"], type=str)]
    for flag in table.flags:
        if flag.kind is Kind.SWITCH:
            options.append(click.Option([*flag.names, _key(flag)], is_flag=True, default=False))
        else:
            kind = click.Choice(flag.choices) if flag.choices else _TYPES[flag.kind]
            options.append(click.Option([*flag.names, _key(flag)], type=kind, default=flag.default))
    return click.Command(program, params=options, callback=call, help="A double: see README.")


def _key(flag: Flag) -> str:
    return flag.name.lstrip("-").replace("-", "_")
