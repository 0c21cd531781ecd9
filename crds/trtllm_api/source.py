"""Source of a model, and the store for what is made of it; part of both kinds' spec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints

from trtllm_api.base import ApiModel, ObjectName, Quantity, RelativePath
from trtllm_api.meta import SecretKeyRef, SecretRef, exactly_one


class HuggingFaceSource(ApiModel):
    """A repository on the Hugging Face hub, or on the hub that HF_ENDPOINT names."""

    repo: Annotated[str, StringConstraints(max_length=200, pattern=r"^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$")]
    """Name of the repository with its organisation, such as meta-llama/Llama-3.1-8B-Instruct."""
    revision: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[-._/a-zA-Z0-9]+$")] = "main"
    """Branch, tag or commit of the repository. It is resolved once; status.source.revision keeps the commit."""
    token_secret_ref: SecretKeyRef | None = None
    """Secret with a Hugging Face access token, for gated or private repositories. If omitted, no token is sent."""


class VolumeSource(ApiModel):
    """A directory on a PersistentVolumeClaim. It is mounted read-only and read in place, never copied."""

    claim_name: ObjectName
    """Name of a PersistentVolumeClaim in the resource's namespace."""
    path: RelativePath = ""
    """Path of the directory, relative to the volume's root. The empty path is the root."""


class UriSource(ApiModel):
    """A directory in an object store or on a web server."""

    uri: Annotated[str, StringConstraints(max_length=1024, pattern=r"^(s3|gs|https?)://.+$")]
    """URI of the directory, such as s3://bucket/model; s3, gs, http and https are read."""
    secret_ref: SecretRef | None = None
    """Secret with credentials; each key becomes an environment variable of the fetch Job, such as AWS_ACCESS_KEY_ID.
    If omitted, no credentials are used."""


class Source(ApiModel):
    """Location of the model: safetensors weights, config.json and tokenizer files."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("huggingFace", "persistentVolumeClaim", "uri"), "source"))

    hugging_face: HuggingFaceSource | None = None
    """A repository on the Hugging Face hub, or on the hub that HF_ENDPOINT in podTemplate.env names; it is downloaded
    to the store. Exactly one of huggingFace, persistentVolumeClaim and uri is set."""
    persistent_volume_claim: VolumeSource | None = None
    """A directory on a PersistentVolumeClaim; it is mounted read-only and read in place. Exactly one of huggingFace,
    persistentVolumeClaim and uri is set."""
    uri: UriSource | None = None
    """A directory in an object store or on a web server; it is downloaded to the store. Exactly one of huggingFace,
    persistentVolumeClaim and uri is set."""


class Storage(ApiModel):
    """PersistentVolumeClaim for sources, artifacts and engines; created if it does not exist, and never deleted."""

    claim_name: ObjectName = "trtllm-store"
    """Name of the claim in the resource's namespace."""
    size: Quantity = "100Gi"
    """Size of a claim that the operator creates, in bytes; it needs room for the source and every artifact. The size
    of an existing claim is not changed."""
    storage_class_name: ObjectName | None = None
    """StorageClass of a claim that the operator creates. If omitted, the one of the chart's value
    store.storageClassName, or else the cluster's default."""
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """Access mode of a claim that the operator creates. ReadWriteMany lets pods on several nodes use it, which engines
    and servers on several nodes need; ReadWriteOnce binds all pods to one node."""
