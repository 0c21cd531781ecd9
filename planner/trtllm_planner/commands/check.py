"""Checks arguments against a version's flags, before a Job exists.

Arguments that a user adds must be flags of the version, each given once and set neither by a field nor by the operator.
Arguments made from fields must be flags of the version, with values that these take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.commands.flags import OPERATOR, Flag, FlagTable, Given, Kind, parse


def check_extra(arguments: Sequence[str], table: FlagTable, field: str, made: Sequence[str] = ()) -> Iterator[Verdict]:
    """Judge the arguments in `field` (build.extraArgs, ...); `made`: the arguments that come from other fields."""
    taken = {name for given in parse(made, table) for name in _names(given, table)}
    seen: set[str] = set()
    for given in parse(arguments, table):
        problem = _extra_problem(given, table, taken)
        flag = table.find(given.name)
        if problem is None and given.name in seen and not (flag is not None and flag.repeats):
            problem = f"{given.name} is given twice", "give it once"
        seen |= _names(given, table)
        if problem is not None:
            message, remedy = problem
            yield refusal(Reason.INVALID_OPTIONS, f"{field}: {message}", remedy, {"version": table.version})


def check_made(arguments: Sequence[str], table: FlagTable) -> Iterator[Verdict]:
    """Judge the arguments that come from fields."""
    for given in parse(arguments, table):
        flag = table.find(given.name)
        owner = table.owner(given.name)
        if flag is None:
            name = owner or _plugin_field(given.name)
            message = f"{name} needs {given.name}, which {table.program} {table.version} does not have"
            yield refusal(Reason.INVALID_OPTIONS, message, _unknown_remedy(given.name, table, f"leave {name} out"))
            continue
        problem = _value_problem(given, flag)
        if problem is not None:
            message = f"{owner or flag.name}: {table.program} {table.version} {problem[0]}"
            yield refusal(Reason.INVALID_OPTIONS, message, problem[1])


def _names(given: Given, table: FlagTable) -> set[str]:
    """All spellings of a flag."""
    flag = table.find(given.name)
    return {given.name} if flag is None else set(flag.names)


def _extra_problem(given: Given, table: FlagTable, taken: set[str]) -> tuple[str, str] | None:
    if not given.name:
        return f"the value {given.values[0]} follows no flag", "write --flag=value, or --flag and value as two items"
    flag = table.find(given.name)
    owner = table.owner(given.name)
    if owner == OPERATOR:
        return f"{given.name} is set by the operator", "leave it out"
    if owner is not None and (given.name not in table.shared or given.name in taken):
        return f"{given.name} is set by spec.{owner}", f"set spec.{owner} instead"
    if any(map(str.isspace, given.name)):
        name, _, value = given.name.partition(" ")
        return f"the item {given.name!r} contains a blank", f"write {name}={value.strip()}, or two items"
    if flag is None:
        message = f"{table.program} {table.version} has no flag {given.name}"
        return message, _unknown_remedy(given.name, table, "leave it out")
    problem = _value_problem(given, flag)
    return None if problem is None else (f"{table.program} {table.version} {problem[0]}", problem[1])


def _plugin_field(name: str) -> str:
    if name.endswith("_plugin"):
        return f"build.plugins.{name.removeprefix('--').removesuffix('_plugin')}"
    return "the spec"


def _unknown_remedy(name: str, table: FlagTable, otherwise: str) -> str:
    if name in table.replaced:
        return table.replaced[name]
    near = table.near(name)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def _value_problem(given: Given, flag: Flag) -> tuple[str, str] | None:
    if flag.kind is Kind.SWITCH:
        if given.values:
            return f"takes no value for {given.name}, and {given.values[0]} is given", f"write {given.name} alone"
        return None
    if not given.values:
        return f"needs a value for {given.name}", f"write {given.name}=value"
    for value in given.values:
        if flag.choices and value not in flag.choices:
            return f"takes no {value} for {given.name}", f"use {' or '.join(flag.choices)}"
        if not _is(value, flag.kind):
            return f"takes {flag.kind.value} for {given.name}, not {value}", f"write {flag.kind.value}"
    return None


def _is(value: str, kind: Kind) -> bool:
    try:
        if kind is Kind.INTEGER:
            int(value)
        elif kind is Kind.NUMBER:
            float(value)
    except ValueError:
        return False
    return True
