"""Validates a spec as an API server does: the schema, then the CEL rules. Every mistake is a Verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trtllm_api.base import ApiModel
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_cli.cel import holds
from trtllm_diagnosis.model import shorten

_MOST_SHOWN: Final = 60
_MOST_MISTAKES: Final = 100
Model = TypeVar("Model", bound=ApiModel)


def check(model: type[Model], value: object, path: str) -> tuple[Model | None, tuple[Verdict, ...]]:
    """The value as a model, or its mistakes: those of the schema or, if there are none, those of the CEL rules."""
    try:
        # strict, as an API server is: "8" is not a number
        found = model.model_validate_json(json.dumps(_without_null(value), allow_nan=False), strict=True)
    except ValidationError as error:
        return None, tuple(_verdict(model, item, path) for item in error.errors(include_url=False)[:_MOST_MISTAKES])
    except (TypeError, ValueError):
        return None, (
            mistake(path, "contains a value that JSON cannot represent", "use numbers, strings, lists and maps"),
        )
    broken = tuple(mistake(where, message) for where, message in _broken(found, path))
    return (None, broken) if broken else (found, ())


def mistake(path: str, what: str, remedy: str = "") -> Verdict:
    """One mistake as a Verdict."""
    return refusal(Reason.INVALID_SPEC, f"{path}: {what}", remedy, {"path": path})


def _without_null(value: object) -> object:
    """The value without nulls: an API server removes them before it sets defaults."""
    if isinstance(value, Mapping):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value


def _broken(model: ApiModel, path: str) -> Iterator[tuple[str, str]]:
    """Path and message of every CEL rule that the model or a part of it breaks."""
    extra = type(model).model_config.get("json_schema_extra")
    rules: Any = extra.get("x-kubernetes-validations", ()) if isinstance(extra, Mapping) else ()
    if rules:
        own = model.to_wire()
        yield from ((path, rule["message"]) for rule in rules if not holds(rule["rule"], own))
    for name, field in type(model).model_fields.items():
        value, below = getattr(model, name), f"{path}.{field.alias or name}"
        if isinstance(value, ApiModel):
            yield from _broken(value, below)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, ApiModel):
                    yield from _broken(item, f"{below}[{index}]")


def _verdict(model: type[ApiModel], error: ErrorDetails, path: str) -> Verdict:
    where = path
    for part in error["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{shorten(part, _MOST_SHOWN)}"
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "extra_forbidden":
        return mistake(where, "unknown field", _near(str(error["loc"][-1]), _fields(model, error["loc"][:-1])))
    if kind == "missing":
        return mistake(where, "the field is required", "set it: it has no default")
    if kind in {"enum", "literal_error"}:
        known = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
        return mistake(
            where, f"{shown(value)} is not one of {', '.join(known)}", _near(str(value), known, only_near=True)
        )
    if kind == "string_type" and isinstance(value, int | float):
        return mistake(where, "must be a string", f'put it in quotes: "{str(value).lower()}"')
    message = _MESSAGES.get(kind)
    return mistake(where, message(value, context) if message is not None else _lower(error["msg"]))


_MESSAGES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "string_type": lambda value, _: f"must be a string, not {_kind(value)}",
    "int_type": lambda value, _: f"must be an integer, not {shown(value)}",
    "int_from_float": lambda value, _: f"must be an integer, not {shown(value)}",
    "bool_type": lambda value, _: f"must be true or false, not {shown(value)}",
    "model_type": lambda value, _: f"must be a map of fields, not {_kind(value)}",
    "dict_type": lambda value, _: f"must be a map, not {_kind(value)}",
    "tuple_type": lambda value, _: f"must be a list, not {_kind(value)}",
    "greater_than_equal": lambda value, context: f"{value} is less than {context['ge']}",
    "less_than_equal": lambda value, context: f"{value} is more than {context['le']}",
    "multiple_of": lambda value, context: f"{value} is not a multiple of {context['multiple_of']}",
    "string_pattern_mismatch": lambda value, context: f"{shown(value)} does not match {context['pattern']}",
    "string_too_long": lambda value, context: f"{len(value)} characters, at most {context['max_length']} are allowed",
    "string_too_short": lambda _, context: f"at least {context['min_length']} characters are required",
    "too_long": lambda value, context: f"{len(value)} items, at most {context['max_length']} are allowed",
    "too_short": lambda value, context: f"{len(value)} items, at least {context['min_length']} are required",
}


def _lower(message: str) -> str:
    return message.replace("Input should", "should", 1)


def shown(value: object) -> str:
    """The value as JSON, shortened."""
    text = ""
    for piece in json.JSONEncoder(default=str).iterencode(value[:_MOST_SHOWN] if isinstance(value, str) else value):
        text += piece
        if len(text) > _MOST_SHOWN:
            return text[: _MOST_SHOWN - 1] + "…"
    return text


def _kind(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = ((dict, "a map"), (list, "a list"), (str, f"the string {shown(value)}"))
    return next((name for kind, name in kinds if isinstance(value, kind)), shown(value))


def _near(name: str, known: Sequence[str], *, only_near: bool = False) -> str:
    lower = {item.lower(): item for item in known}
    near = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    if near:
        return f"did you mean {lower[near[0]]}?"
    return "" if only_near or not known else f"fields: {', '.join(known)}"


def _fields(model: type[ApiModel], at: Sequence[int | str]) -> list[str]:
    """Fields of the model at this place."""
    found: type[ApiModel] | None = model
    for part in at:
        if found is None or isinstance(part, int):
            continue
        field = next((item for name, item in found.model_fields.items() if part in {item.alias, name}), None)
        found = _model_in(field.annotation) if field is not None else None
    return [field.alias or name for name, field in found.model_fields.items()] if found is not None else []


def _model_in(annotation: object) -> type[ApiModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return annotation
    return next((found for item in get_args(annotation) if (found := _model_in(item)) is not None), None)
