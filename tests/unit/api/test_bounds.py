"""What bounds a spec beyond its schema: free-form fields, and the whole of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trtllm_api.base import MAX_DEPTH, MAX_SPEC_BYTES, ApiModel
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.quantizedmodel import QuantizedModelSpec

BUILD: dict[str, Any] = {"modelRef": {"name": "a"}, "serving": {}}
MODEL: dict[str, Any] = {"source": {"huggingFace": {"repo": "a/b"}}}


def nested(levels: int) -> dict[str, Any]:
    """An object of so many levels, the outermost included."""
    value: dict[str, Any] = {"a": 1}
    for level in range(levels - 1):
        value = {"a": [value]} if level % 2 and level < levels - 2 else {"a": value}
    return value


def error_of(model: type[ApiModel], spec: dict[str, Any]) -> tuple[str, str]:
    """Where and what the one mistake of a spec is."""
    with pytest.raises(ValidationError) as raised:
        model.model_validate(spec)
    (error,) = raised.value.errors(include_url=False)
    return ".".join(map(str, error["loc"])), error["msg"]


def at(path: str, value: object) -> dict[str, Any]:
    """The minimal EngineBuild with one free-form field."""
    spec: dict[str, Any] = {"modelRef": {"name": "a"}, "serving": {"podTemplate": {}}, "podTemplate": {}}
    holder = spec
    *parents, last = path.split(".")
    for name in parents:
        holder = holder[name]
    holder[last] = [value] if last == "volumes" else value
    return spec


FREE_FORM = pytest.mark.parametrize(
    ("path", "most"),
    [
        ("serving.options", 16384),
        ("podTemplate.affinity", 16384),
        ("podTemplate.volumes", 4096),
        ("serving.podTemplate.affinity", 16384),
        ("serving.podTemplate.volumes", 4096),
    ],
)


@FREE_FORM
def test_a_free_form_field_is_taken_up_to_its_size(path: str, most: int) -> None:
    frame = len('{"a":""}')
    EngineBuildSpec.model_validate(at(path, {"a": "x" * (most - frame)}))
    where, what = error_of(EngineBuildSpec, at(path, {"a": "x" * (most - frame + 1)}))
    assert where == path + (".0" if path.endswith("volumes") else "")
    assert what == f"The value has {most + 1} bytes of JSON; at most {most} are read."


@FREE_FORM
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 100_000])
def test_a_free_form_field_is_taken_up_to_a_depth(path: str, most: int, levels: int) -> None:
    EngineBuildSpec.model_validate(at(path, nested(20)))
    _, what = error_of(EngineBuildSpec, at(path, nested(levels)))
    assert what == f"The value is nested more than {MAX_DEPTH} levels deep."


def test_lists_count_as_levels_too() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    EngineBuildSpec.model_validate(at("serving.options", {"a": value}))
    error_of(EngineBuildSpec, at("serving.options", {"a": [value]}))


@pytest.mark.parametrize(("model", "spec"), [(EngineBuildSpec, BUILD), (QuantizedModelSpec, MODEL)])
def test_a_spec_that_is_too_large_is_refused_though_each_of_its_fields_is_not(
    model: type[ApiModel], spec: dict[str, Any]
) -> None:
    variables = [{"name": f"A{number}", "value": "x" * 4000} for number in range(20)]
    large = {**spec, "podTemplate": {"env": variables}}
    where, what = error_of(model, large)
    assert where == ""
    assert what.endswith(f"bytes of JSON; at most {MAX_SPEC_BYTES} are read.")
    model.model_validate({**spec, "podTemplate": {"env": variables[:12]}})


@pytest.mark.parametrize("pattern", ["*a" * 5, "*" * 5, "a**b***", "", "layers.{1}"])
def test_a_module_pattern_that_is_slow_to_match_is_refused(pattern: str) -> None:
    where, _ = error_of(QuantizedModelSpec, {**MODEL, "quantization": {"excludeModules": [pattern]}})
    assert where == "quantization.excludeModules.0"
