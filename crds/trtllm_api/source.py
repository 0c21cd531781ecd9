"""Where a model is, and where what is made of it goes: part of both kinds' spec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints

from trtllm_api.base import ApiModel, ObjectName, Quantity, RelativePath
from trtllm_api.meta import SecretKeyRef, SecretRef, exactly_one


class HuggingFaceSource(ApiModel):
    """A repository on the Hugging Face hub, or on the hub that HF_ENDPOINT names."""

    repo: Annotated[str, StringConstraints(max_length=200, pattern=r"^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$")]
    revision: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[-._/a-zA-Z0-9]+$")] = "main"
    """A branch, a tag or a commit; resolved once to a commit, which status pins."""
    token_secret_ref: SecretKeyRef | None = None


class VolumeSource(ApiModel):
    """A directory on a PersistentVolumeClaim; it is mounted read-only and read in place."""

    claim_name: ObjectName
    path: RelativePath = ""


class UriSource(ApiModel):
    """A directory that fsspec can read."""

    uri: Annotated[str, StringConstraints(max_length=1024, pattern=r"^(s3|gs|https?)://.+$")]
    secret_ref: SecretRef | None = None
    """Its keys become environment variables of the fetch Job (AWS_ACCESS_KEY_ID, ...)."""


class Source(ApiModel):
    """Where the unquantized model is."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("huggingFace", "persistentVolumeClaim", "uri"), "source"))

    hugging_face: HuggingFaceSource | None = None
    persistent_volume_claim: VolumeSource | None = None
    uri: UriSource | None = None


class Storage(ApiModel):
    """The PersistentVolumeClaim that holds sources and artifacts; created when it does not exist."""

    claim_name: ObjectName = "trtllm-store"
    size: Quantity = "100Gi"
    storage_class_name: ObjectName | None = None
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
