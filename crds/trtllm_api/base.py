"""The base model and the bounded scalar types that every schema of the API is made of.

Kubernetes refuses unbounded strings and lists under CEL rules, so no type here is unbounded.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_json

MAX_INTEGER = 2**53 - 1
"""Largest integer that every JSON reader reads exactly. The API server itself refuses integers above 63 bits."""
MAX_DIMENSION = 2**31 - 1
"""Largest count, length or dimension that a model or an engine can have."""
MAX_SPEC_BYTES = 65536
"""Largest spec that is read, in bytes of JSON; the API server itself bounds an object at megabytes only."""
MAX_DEPTH = 32
"""Deepest nesting of a free-form field."""


class ApiModel(BaseModel):
    """Frozen, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,  # validate_by_name in pydantic < 2.11, which NVIDIA's older images have
        protected_namespaces=(),  # older pydantic warns of every field that begins with model_
        use_attribute_docstrings=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON form as Kubernetes stores it: camelCase, without unset fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ResourceSpec(ApiModel):
    """Spec of a resource. All of it is bounded, beside each of its fields."""

    @model_validator(mode="after")
    def _check_spec_size(self) -> Self:
        _check_size(len(self.model_dump_json(by_alias=True, exclude_unset=True)), MAX_SPEC_BYTES)
        return self


def free_form(most: int) -> AfterValidator:
    """Bounds of a field without a schema: bytes of JSON, and MAX_DEPTH levels."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        deep = PydanticCustomError("too_deep", "The value is nested more than {most} levels deep.", {"most": MAX_DEPTH})
        try:
            _check_size(len(to_json(value)), most)
        except PydanticSerializationError:  # it has a bound of its own
            raise deep from None
        if _depth(value) > MAX_DEPTH:
            raise deep
        return value

    return AfterValidator(check)


def _check_size(size: int, most: int) -> None:
    if size > most:
        text = "The value has {size} bytes of JSON; at most {most} are read."
        raise PydanticCustomError("too_large", text, {"size": size, "most": most})


def _depth(value: Any) -> int:
    """Levels of lists and objects, counted without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth - 1


def cel(rule: str, message: str) -> dict[str, JsonValue]:
    """One CEL rule for `x-kubernetes-validations`; the message is what kubectl prints."""
    return {"rule": rule, "message": message}


ObjectName = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
SecretKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
RelativePath = Annotated[str, StringConstraints(max_length=1024, pattern=r"^([^/.][^/]*(/[^/.][^/]*)*)?$")]
ShortText = Annotated[str, StringConstraints(max_length=256)]
Message = Annotated[str, StringConstraints(max_length=4096)]
StorePath = Annotated[str, StringConstraints(max_length=1024)]
"""Path on a PersistentVolumeClaim, relative to its root."""
Size = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
"""Bytes, or a number of parameters."""
ComputeCapability = Annotated[str, StringConstraints(max_length=6, pattern=r"^[0-9]{1,3}(\.[0-9]{1,2})?$")]
"""A GPU's compute capability as its pods report it, such as "9.0"."""
Dimension = Annotated[int, Field(ge=0, le=MAX_DIMENSION)]
Digest = Annotated[str, StringConstraints(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
DecimalString = Annotated[str, StringConstraints(max_length=24, pattern=r"^[0-9]+(\.[0-9]+)?$")]
Fraction = Annotated[str, StringConstraints(max_length=8, pattern=r"^(0(\.[0-9]+)?|1(\.0+)?)$")]
"""A number from 0 to 1, as a decimal."""
Percent = Annotated[str, StringConstraints(max_length=24, pattern=r"^[0-9]+(\.[0-9]+)?%$")]
Quantity = Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")]
ModulePattern = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[-._a-zA-Z0-9\[\]]*(\*[-._a-zA-Z0-9\[\]]*){0,4}$"),
]
"""A module's name with up to four stars: more make matching slow, and no module's name needs them."""
StringMap = Annotated[dict[ShortText, ShortText], Field(max_length=64)]


class Device(StrEnum):
    """Device of a stage."""

    GPU = "GPU"
    """An NVIDIA GPU; the pods request nvidia.com/gpu."""
    CPU = "CPU"
    """The node's processors; the pods request no GPU."""
