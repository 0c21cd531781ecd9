"""Which Hugging Face hub a builder talks to, and whether it gets a token; fetch and datasets ask."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from trtllm_api.reasons import Reason
from trtllm_builder.failure import input_missing
from trtllm_builder.installation import HUB, TOKEN_ORIGINS, Installation, origin_of


@dataclass(frozen=True)
class Hub:
    """The hub of HF_ENDPOINT, or huggingface.co without it."""

    endpoint: str
    installation: Installation

    @property
    def name(self) -> str:
        """Hub as messages name it: its host, but only one that the installation knows.

        HF_ENDPOINT comes from the user's environment, where a Secret's value may have been put into it.
        """
        if not self.installation.trusts(self.endpoint):
            return "the hub that HF_ENDPOINT names"
        return origin_of(self.endpoint).split("/")[-1].removesuffix(":443").removesuffix(":80")

    def token(self, variable: str, field: str) -> str | None:
        """Token in the environment variable, if there is one; raises SourceAccessDenied where this hub may not get it.

        `field` is the field of the spec that names the token's Secret.
        """
        token = os.environ.get(variable) or None
        if token is not None and not self.installation.trusts(self.endpoint):
            raise input_missing(
                Reason.SOURCE_ACCESS_DENIED,
                f"The token of {field} is not sent to {self.name}: {TOKEN_ORIGINS} does not list its origin.",
                f"Remove HF_ENDPOINT or the token, or let the cluster's administrator add the hub to {TOKEN_ORIGINS}.",
            )
        return token


def hub_of(environment: Mapping[str, str]) -> Hub:
    """Hub of this environment."""
    return Hub((environment.get("HF_ENDPOINT") or HUB).rstrip("/"), Installation.read(environment))
