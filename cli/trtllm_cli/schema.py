"""A spec against the API's own models and rules: `check`, called by documents.py; one sentence for each mistake."""

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
    """The value as a model, or what is wrong with it: first its shape, then the rules, as an API server does."""
    try:
        # strict, as an API server is: "8" is no number there
        found = model.model_validate_json(json.dumps(_without_null(value), allow_nan=False), strict=True)
    except ValidationError as error:
        return None, tuple(_verdict(model, item, path) for item in error.errors(include_url=False)[:_MOST_MISTAKES])
    except (TypeError, ValueError):
        return None, (mistake(path, "holds a value that JSON does not have", "write numbers, texts, lists and maps"),)
    broken = tuple(mistake(where, message) for where, message in _broken(found, path))
    return (None, broken) if broken else (found, ())


def mistake(path: str, what: str, remedy: str = "") -> Verdict:
    """One mistake as a Verdict."""
    return refusal(Reason.INVALID_SPEC, f"{path}: {what}", remedy, {"path": path})


def _without_null(value: object) -> object:
    """An API server prunes nulls before it fills in defaults."""
    if isinstance(value, Mapping):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value


def _broken(model: ApiModel, path: str) -> Iterator[tuple[str, str]]:
    """Path and message of every CEL rule that does not hold, here and below."""
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
        return mistake(where, "no such field", _near(str(error["loc"][-1]), _fields(model, error["loc"][:-1])))
    if kind == "missing":
        return mistake(where, "is missing", "it has no default")
    if kind in {"enum", "literal_error"}:
        known = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
        return mistake(where, f"{shown(value)} is none of {', '.join(known)}", _near(str(value), known, only_near=True))
    if kind == "string_type" and isinstance(value, int | float):
        return mistake(where, "must be a text", f'put it in quotes: "{str(value).lower()}"')
    told = _SAID.get(kind)
    return mistake(where, told(value, context) if told is not None else _lower(error["msg"]))


_SAID: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "string_type": lambda value, _: f"must be a text, not {_kind(value)}",
    "int_type": lambda value, _: f"must be a whole number, not {shown(value)}",
    "int_from_float": lambda value, _: f"must be a whole number, not {shown(value)}",
    "bool_type": lambda value, _: f"must be true or false, not {shown(value)}",
    "model_type": lambda value, _: f"must be a map of fields, not {_kind(value)}",
    "dict_type": lambda value, _: f"must be a map, not {_kind(value)}",
    "tuple_type": lambda value, _: f"must be a list, not {_kind(value)}",
    "greater_than_equal": lambda value, context: f"{value} is less than {context['ge']}",
    "less_than_equal": lambda value, context: f"{value} is more than {context['le']}",
    "multiple_of": lambda value, context: f"{value} is no multiple of {context['multiple_of']}",
    "string_pattern_mismatch": lambda value, context: f"{shown(value)} does not match {context['pattern']}",
    "string_too_long": lambda value, context: f"{len(value)} characters, at most {context['max_length']}",
    "string_too_short": lambda _, context: f"at least {context['min_length']} characters are needed",
    "too_long": lambda value, context: f"{len(value)} items, at most {context['max_length']}",
    "too_short": lambda value, context: f"{len(value)} items, at least {context['min_length']}",
}


def _lower(message: str) -> str:
    return message.replace("Input should", "should", 1)


def shown(value: object) -> str:
    """The beginning of a value as JSON."""
    text = ""
    for piece in json.JSONEncoder(default=str).iterencode(value[:_MOST_SHOWN] if isinstance(value, str) else value):
        text += piece
        if len(text) > _MOST_SHOWN:
            return text[: _MOST_SHOWN - 1] + "…"
    return text


def _kind(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = ((dict, "a map"), (list, "a list"), (str, f"the text {shown(value)}"))
    return next((name for kind, name in kinds if isinstance(value, kind)), shown(value))


def _near(name: str, known: Sequence[str], *, only_near: bool = False) -> str:
    lower = {item.lower(): item for item in known}
    near = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    if near:
        return f"did you mean {lower[near[0]]}?"
    return "" if only_near or not known else f"known are {', '.join(known)}"


def _fields(model: type[ApiModel], at: Sequence[int | str]) -> list[str]:
    """The fields that the model at this place has."""
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
