"""Text of a sample's golden file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from command_samples import SAMPLES, VERSIONS, commands

from trtllm_planner.commands.buildflags import build_table
from trtllm_planner.commands.convertflags import convert_table
from trtllm_planner.commands.flags import FlagTable, parse
from trtllm_planner.commands.serveflags import serve_table


def lines(arguments: Sequence[str], table: FlagTable) -> Iterator[str]:
    """A flag and its values on a line."""
    for given in parse(arguments, table):
        yield " ".join(filter(None, (given.name, *given.values)))


def golden(name: str) -> str:
    """The golden file of a sample."""
    sample = SAMPLES[name]
    written: dict[str, Any] = {"spec": sample.spec, "architecture": sample.architecture}
    for version in VERSIONS:
        made = commands(sample, version)
        part: dict[str, Any] = {}
        if made.convert is not None and made.family is not None:
            table = convert_table(made.family, made.version)
            part["convert_checkpoint.py"] = list(lines(made.convert, table))
        if made.build is not None:
            part["trtllm-build"] = list(lines(made.build, build_table(made.version)))
        if made.serve is not None:
            part["trtllm-serve"] = list(lines(made.serve, serve_table(made.version)))
            part[f"file of {made.options_flag}"] = made.options
        part["refused"] = list(made.refused)
        written[version] = part
    return yaml.dump(written, Dumper=_Plain, sort_keys=False, width=1000)


class _Plain(yaml.SafeDumper):
    """Writes equal parts out instead of pointing at the first."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True
