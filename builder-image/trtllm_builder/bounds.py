"""Reads facts about a model, and refuses numbers that status cannot hold."""

from __future__ import annotations

from pydantic import ValidationError

from trtllm_api.facts import ModelFacts
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint_files import Checkpoint
from trtllm_builder.failure import bad_model
from trtllm_builder.model_facts import model_facts
from trtllm_planner.model_config.section import UnreadableConfig


def bounded_facts(checkpoint: Checkpoint) -> ModelFacts:
    """Facts about the model. Raises SourceCorrupt with the name of the first number that is out of bounds."""
    try:
        return model_facts(checkpoint)
    except UnreadableConfig as error:
        raise bad_model(Reason.SOURCE_CORRUPT, f"{error}.", "Copy config.json from the original model.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, value, most = ".".join(map(str, first["loc"])), first["input"], first.get("ctx", {}).get("le")
        what = f"a number of {len(str(abs(value)))} digits" if isinstance(value, int) else "not a valid value"
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{name} of the model is {what}" + (f", more than the limit of {most}." if most else "."),
            "Correct config.json: copy it from the original model.",
        ) from None
