"""The Hugging Face hub of a builder, and the token for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from trtllm_api.reasons import Reason
from trtllm_builder.failure import input_missing
from trtllm_builder.installation import HUB, TOKEN_ORIGINS, Installation, origin_of


@dataclass(frozen=True)
class Hub:
    """Hub of HF_ENDPOINT; huggingface.co if that is not set."""

    endpoint: str
    installation: Installation

    @property
    def name(self) -> str:
        """Name of the hub in messages: its host, if the installation lists it.

        Other values of HF_ENDPOINT are not shown: the variable may contain a value of a Secret.
        """
        if not self.installation.trusts(self.endpoint):
            return "the hub of HF_ENDPOINT"
        return origin_of(self.endpoint).split("/")[-1].removesuffix(":443").removesuffix(":80")

    def token(self, variable: str, field: str) -> str | None:
        """Token in the environment variable, if there is one. Raises SourceAccessDenied if this hub may not get it.

        `field` is the field of the spec with the token's Secret.
        """
        token = os.environ.get(variable) or None
        if token is not None and not self.installation.trusts(self.endpoint):
            raise input_missing(
                Reason.SOURCE_ACCESS_DENIED,
                f"The token of {field} is not sent to {self.name}: {TOKEN_ORIGINS} does not list its origin.",
                f"Remove HF_ENDPOINT or the token, or ask the administrator to add the hub to {TOKEN_ORIGINS}.",
            )
        return token


def hub_of(environment: Mapping[str, str]) -> Hub:
    """Hub of this environment."""
    return Hub((environment.get("HF_ENDPOINT") or HUB).rstrip("/"), Installation.read(environment))
