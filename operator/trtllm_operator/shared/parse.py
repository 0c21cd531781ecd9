"""Custom resources as the API server sends them, as models; used by both kinds' observe."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from trtllm_api.base import ApiModel
from trtllm_operator.kube.objects import Object, dig
from trtllm_operator.manifests.identity import RETRY_ANNOTATION

Model = TypeVar("Model", bound=ApiModel)


def parse_spec(model: type[Model], raw: Any) -> tuple[Model | None, str]:
    """The spec, or None and one sentence about every field that is wrong."""
    try:
        return model.model_validate(raw if raw is not None else {}), ""
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, ('spec', *e['loc'])))}: {e['msg']}" for e in error.errors(include_url=False)]
        return None, "the spec does not fit this operator's API: " + "; ".join(wrong[:8])


def parse_status(model: type[Model], raw: Any) -> Model:
    """The status; a field that another release wrote differently counts as absent, and never hides the others."""
    if not isinstance(raw, dict):
        return model()
    try:
        return model.model_validate(raw)
    except ValidationError:
        return model.model_validate({key: value for key, value in raw.items() if _fits(model, key, value)})


def _fits(model: type[ApiModel], key: str, value: Any) -> bool:
    try:
        model.model_validate({key: value})
    except ValidationError:
        return False
    return True


def generation_of(resource: Object) -> int:
    """metadata.generation."""
    return int(dig(resource, "metadata", "generation") or 0)


def retry_of(resource: Object) -> str:
    """The value of the user's retry annotation."""
    return str(dig(resource, "metadata", "annotations", RETRY_ANNOTATION) or "")
