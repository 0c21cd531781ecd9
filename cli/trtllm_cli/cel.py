"""Evaluates CEL rules of the custom resources without an API server."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any


def holds(rule: str, own: Mapping[str, Any]) -> bool:
    """True if the rule holds for `self`: the object as JSON, with its defaults set.

    A rule that cannot be evaluated does not hold: an API server refuses the object as well.
    """
    program = _compiled(rule)
    context = _library().Context(variables={"self": dict(own)}, functions={"replace": _replace})
    try:
        return bool(program.execute(context))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        return False


@cache
def _compiled(rule: str) -> Any:
    return _library().compile(rule)


def _replace(text: str, old: str, new: str) -> str:
    """Kubernetes' extension of CEL, which the library lacks."""
    return text.replace(old, new)


@cache
def _library() -> Any:
    """The compiled module of common-expression-language alone.

    Its package imports a command line (typer, rich, asyncio), which takes half of the time of a plan.
    """
    package = find_spec("cel")
    spec = PathFinder.find_spec("cel.cel", package.submodule_search_locations) if package is not None else None
    if spec is None or spec.loader is None:
        raise ImportError("common-expression-language is not installed")
    library = module_from_spec(spec)
    spec.loader.exec_module(library)
    return library
