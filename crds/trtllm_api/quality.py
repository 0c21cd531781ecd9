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
    """Consequence of a refusal by the quality gate."""

    FALLBACK = "Fallback"
    """Tries the next method that was planned, then those of quality.fallbacks."""
    FAIL = "Fail"
    """Publishes nothing; the resource is Stalled."""
    WARN = "Warn"
    """Publishes the refused artifact; condition QualityPassed is False with the numbers."""


class HubDataset(ApiModel):
    """A data set on the Hugging Face hub."""

    repo: Annotated[str, StringConstraints(max_length=200, pattern=r"^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$")]
    """Name of the data set's repository, such as abisee/cnn_dailymail."""
    revision: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[-._/a-zA-Z0-9]+$")] = "main"
    """Branch, tag or commit of the repository."""
    config: ShortText | None = None
    """Configuration (subset) of the data set. If omitted, its default configuration."""
    split: ShortText = "train"
    """Split of the data set that is read."""
    column: ShortText = "text"
    """Column that holds the texts."""
    token_secret_ref: SecretKeyRef | None = None
    """Secret with a Hugging Face access token, for gated or private data sets. If omitted, no token is sent."""


class Dataset(ApiModel):
    """Texts for calibration or measurement; texts of your own domain say more about your quality."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(("configMap", "persistentVolumeClaim", "huggingFace"), "dataset")
    )

    config_map: ConfigMapKeyRef | None = None
    """A key of a ConfigMap: .txt with one text per line, or .jsonl of objects with the field text. Exactly one of
    configMap, persistentVolumeClaim and huggingFace is set."""
    persistent_volume_claim: VolumeSource | None = None
    """A directory on a PersistentVolumeClaim with .txt or .jsonl files. Exactly one of configMap, persistentVolumeClaim
    and huggingFace is set."""
    hugging_face: HubDataset | None = None
    """A data set on the Hugging Face hub. Exactly one of configMap, persistentVolumeClaim and huggingFace is set."""


class Calibration(ApiModel):
    """Texts that ModelOpt runs through the model to choose scales; methods that are calibrated use it."""

    dataset: Dataset | None = None
    """Texts to calibrate with. If omitted, texts that the builder's image brings."""
    samples: Annotated[int, Field(ge=1, le=16384)] = 128
    """Number of texts that are used."""
    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 512
    """Length that each text is cut to, in tokens."""
    batch_size: Annotated[int, Field(ge=1, le=512)] = 1
    """Number of texts per forward pass. More are faster and take more memory."""


class Evaluation(ApiModel):
    """Texts that the quality gate measures source and artifact on."""

    dataset: Dataset | None = None
    """Texts to measure on. If omitted, texts that the builder's image brings; none of them is used to calibrate."""
    tokens: Annotated[int, Field(ge=256, le=1048576)] = 4096
    """Number of tokens that are measured. More tokens take longer and give steadier numbers."""
    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 512
    """Length of a window, in tokens: the context that each model sees."""


class Canary(ApiModel):
    """A prompt with a text that the artifact's greedy answer must contain."""

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Prompt for the model; a chat model gets it as the user's message."""
    contains: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """Text that the answer must contain."""
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 48
    """Longest answer, in tokens."""


class Quality(ApiModel):
    """Quality gate: limits for the artifact against the source model, measured on the exported files, loaded again."""

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
    """Largest increase of the perplexity against the source, in percent of the source's."""
    max_kl_divergence: DecimalString | None = Field(default="0.2", alias="maxKLDivergence")
    """Largest mean KL divergence of the artifact from the source, KL(source || artifact) per token, in nats."""
    min_top_token_agreement: Percent = "80%"
    """Smallest share of positions where source and artifact predict the same next token, in percent."""
    evaluation: Evaluation = Evaluation()
    canaries: Annotated[tuple[Canary, ...], Field(max_length=16)] = ()
    """Prompts whose greedy answers must contain a given text. Empty and endlessly repeating answers fail."""
    on_failure: OnFailure = OnFailure.FALLBACK
    """Consequence of a refusal by the gate."""
    fallbacks: Annotated[tuple[Method, ...], Field(max_length=8)] = ()
    """Methods that are tried, in this order, after the gate refused quantization.method or every planned method. Mixed
    takes the refused method whose smallest mix with full precision passes."""
