"""How good an artifact must be, and the texts to calibrate and measure with; part of QuantizedModel's spec."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from trtllm_api.base import ApiModel, DecimalString, Percent, ShortText, cel
from trtllm_api.meta import ConfigMapKeyRef, SecretKeyRef, exactly_one
from trtllm_api.quantization import Method
from trtllm_api.source import VolumeSource


class OnFailure(StrEnum):
    """What a refusal by the quality gate leads to."""

    FALLBACK = "Fallback"
    FAIL = "Fail"
    WARN = "Warn"


class HubDataset(ApiModel):
    """A data set on the Hugging Face hub."""

    repo: Annotated[str, StringConstraints(max_length=200, pattern=r"^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$")]
    revision: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[-._/a-zA-Z0-9]+$")] = "main"
    config: ShortText | None = None
    split: ShortText = "train"
    column: ShortText = "text"
    token_secret_ref: SecretKeyRef | None = None


class Dataset(ApiModel):
    """Texts: a file with one text per line (.txt), or JSON lines with a `text` field (.jsonl)."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(("configMap", "persistentVolumeClaim", "huggingFace"), "dataset")
    )

    config_map: ConfigMapKeyRef | None = None
    persistent_volume_claim: VolumeSource | None = None
    hugging_face: HubDataset | None = None


class Calibration(ApiModel):
    """What ModelOpt sees while it chooses scales. The builder's own texts are used without a dataset."""

    dataset: Dataset | None = None
    samples: Annotated[int, Field(ge=1, le=16384)] = 128
    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 512
    batch_size: Annotated[int, Field(ge=1, le=512)] = 1


class Evaluation(ApiModel):
    """What the quality gate measures on. The builder's own held-out texts are used without a dataset."""

    dataset: Dataset | None = None
    tokens: Annotated[int, Field(ge=256, le=1048576)] = 4096
    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 512


class Canary(ApiModel):
    """A prompt that the artifact must answer, greedily, with the text given."""

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    contains: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 48


class Quality(ApiModel):
    """What the artifact must reach against the source model, measured on the files that ship."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.fallbacks) || size(self.fallbacks) == 0 || self.onFailure == 'Fallback'",
                    "fallbacks are tried with onFailure Fallback only",
                ),
                cel(
                    "!has(self.minTopTokenAgreement) || !self.minTopTokenAgreement.matches('^[0-9]+([.][0-9]+)?%$') || "
                    "double(self.minTopTokenAgreement.replace('%', '')) <= 100.0",
                    "minTopTokenAgreement must be no more than 100%",
                ),
            ]
        }
    )

    max_perplexity_increase: Percent = "10%"
    max_kl_divergence: DecimalString | None = Field(default="0.2", alias="maxKLDivergence")
    """Mean of KL(source || artifact) over the evaluated tokens, in nats."""
    min_top_token_agreement: Percent = "80%"
    """Share of positions where both models' most likely next token is the same."""
    evaluation: Evaluation = Evaluation()
    canaries: Annotated[tuple[Canary, ...], Field(max_length=16)] = ()
    on_failure: OnFailure = OnFailure.FALLBACK
    fallbacks: Annotated[tuple[Method, ...], Field(max_length=8)] = ()
    """Methods tried in this order when the gate refuses the one asked for, or all that were planned.

    Mixed is the smallest of those refused before it that passes with its worst modules in full precision.
    """
