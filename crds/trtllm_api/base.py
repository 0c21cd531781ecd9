"""The base model and the bounded scalar types that every schema of the API is made of.

Kubernetes refuses unbounded strings and lists under CEL rules, so no type here is unbounded.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel


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
        """The JSON form as Kubernetes stores it: camelCase, nothing that is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


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
Digest = Annotated[str, StringConstraints(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
DecimalString = Annotated[str, StringConstraints(max_length=24, pattern=r"^[0-9]+(\.[0-9]+)?$")]
Fraction = Annotated[str, StringConstraints(max_length=8, pattern=r"^(0(\.[0-9]+)?|1(\.0+)?)$")]
"""0 to 1."""
Percent = Annotated[str, StringConstraints(max_length=24, pattern=r"^[0-9]+(\.[0-9]+)?%$")]
Quantity = Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")]
ModulePattern = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[-._*a-zA-Z0-9\[\]]+$")]
StringMap = Annotated[dict[ShortText, ShortText], Field(max_length=64)]


class Device(StrEnum):
    """Where a stage runs."""

    GPU = "GPU"
    CPU = "CPU"


def percent_to_fraction(value: str) -> Decimal:
    """Turn `5%` into Decimal("0.05")."""
    return Decimal(value.removesuffix("%")) / 100
