"""Flag tables hold what upstream's own programs take, release by release (tests/data/upstream)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from generate_llm_args import TARGET, written

from double_upstream import Option, program
from trtllm_planner.commands.buildflags import build_table
from trtllm_planner.commands.convertflags import CONVERT_TABLES, convert_table
from trtllm_planner.commands.flags import Flag, FlagTable, Kind
from trtllm_planner.commands.serveflags import serve_table
from trtllm_planner.tensorrt_llm.versions import parse_version

BUILD = ("0.20.0", "1.0.0", "1.1.0rc6", "1.1.0", "1.2.0", "1.3.0rc3")
SERVE = (*BUILD[:-1], "1.2.1", "1.3.0rc3")
CONVERT = ("0.20.0", "1.0.0", "1.1.0", "1.2.1", "1.3.0rc3")
KINDS = {"int": Kind.INTEGER, "float": Kind.NUMBER}
CACHE_TYPES = ("continuous", "paged", "disabled")
SECOND_SPELLINGS = {("gemma", "1.3.0rc3")}
"""Upstream has spellings there that older releases lack, and the tables leave them out."""


def table_of(name: str, version: str) -> FlagTable:
    parsed = parse_version(version)
    if name == "trtllm-build":
        return build_table(parsed)
    return serve_table(parsed) if name == "trtllm-serve" else convert_table(name.removeprefix("convert-"), parsed)


CASES = [
    *(("trtllm-build", version) for version in BUILD),
    *(("trtllm-serve", version) for version in SERVE),
    *((f"convert-{family}", version) for family in CONVERT_TABLES for version in CONVERT),
]


@pytest.mark.parametrize(("name", "version"), CASES)
def test_a_table_has_the_flags_of_upstreams_release(name: str, version: str) -> None:
    newer = (name.removeprefix("convert-"), version) in SECOND_SPELLINGS
    found = differences(table_of(name, version), program(name, version).options, newer=newer)
    assert list(found) == []


def differences(table: FlagTable, options: tuple[Option, ...], *, newer: bool) -> Iterator[str]:
    known = {name: option for option in options for name in option.names if option.takes != "positional"}
    for flag in table.flags:
        option = next((known[name] for name in flag.names if name in known), None)
        if option is None:
            yield f"{flag.name}: upstream has no such option"
            continue
        lacking, wrong = set(option.names) - set(flag.names), set(flag.names) - set(option.names)
        if wrong or (lacking and not newer):
            yield f"{flag.name}: spellings that are missing {sorted(lacking)}, that upstream lacks {sorted(wrong)}"
        yield from (f"{flag.name}: {problem}" for problem in value_differences(flag, option))
    ours = {name for flag in table.flags for name in flag.names}
    for option in options:
        if option.takes != "positional" and not ours & set(option.names) and not newer:
            yield f"{option.names[0]}: no flag for it"


def value_differences(flag: Flag, option: Option) -> Iterator[str]:
    if (flag.kind is Kind.SWITCH) != (option.takes == "nothing"):
        yield f"upstream's takes {option.takes}"
    elif flag.kind is not Kind.SWITCH and flag.kind is not KINDS.get(str(option.kind), Kind.TEXT):
        yield f"upstream's type is {option.kind}"
    choices = CACHE_TYPES if option.kind == "KVCacheType" else (*option.choices, *(option.aliases or {}))
    if set(flag.choices) != set(map(str, choices)):
        yield f"choices {sorted(set(flag.choices) ^ set(map(str, choices)))} are on one side only"
    if flag.many != (option.takes == "list") or flag.repeats != (option.takes == "repeated"):
        yield f"upstream's takes {option.takes}"
    if flag.default is not None and flag.default != option.default:
        yield f"upstream's default is {option.default}"


def test_a_comparison_that_finds_nothing_would_find_a_wrong_flag() -> None:
    option = Option(("--backend",), "backend", "value", "str", ("pytorch", "trt"))
    wrong = FlagTable("x", "1", (Flag("--backend", choices=("pytorch", "tensorrt")), Flag("--extra", Kind.SWITCH)))
    missing = Option(("--port",), "port", "value", "int")
    assert list(differences(wrong, (option, missing), newer=False)) == [
        "--backend: choices ['tensorrt', 'trt'] are on one side only",
        "--extra: upstream has no such option",
        "--port: no flag for it",
    ]


def test_the_fields_of_the_file_of_options_are_upstreams() -> None:
    assert TARGET.read_text() == written(), "run make generate, and read the difference"
