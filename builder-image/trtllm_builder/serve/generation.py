"""Token loop of one request: from its prompt to pieces of text.

Requests do not share a batch: each runs its own loop over its own KV cache. That is enough for smoke tests, and for
quantized models that no faster engine can load.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

import torch

from trtllm_api.manifest import Manifest
from trtllm_builder.serve.sampling import penalized, pick
from trtllm_builder.serve.text import Detokenizer, StopScanner

STOP, LENGTH, ABORT = "stop", "length", "abort"
_CONTEXT_TOKENS = 8
"""Tokens of a continued text that the detokenizer needs to place spaces correctly."""


class LoadedModel(Protocol):
    """Interface of a loaded model, as checkpoint.load_for_inference returns it."""

    @property
    def model(self) -> Any:
        """PreTrainedModel of transformers in eval mode."""

    @property
    def tokenizer(self) -> Any:
        """PreTrainedTokenizerBase of transformers."""

    @property
    def manifest(self) -> Manifest:
        """Manifest of the artifact."""


@dataclass(frozen=True)
class Job:
    """A validated request."""

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 1.0
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[str, ...] = ()
    continues: bool = False
    """True if the answer continues the prompt's text."""


@dataclass(frozen=True)
class Piece:
    """Result of one step: `tokens` is the number so far, and `finish` is set for the last piece."""

    text: str
    tokens: int
    finish: str | None = None


class Engine:
    """A loaded model, which several threads may use."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model, self.tokenizer = loaded.model, loaded.tokenizer
        generation = getattr(self._model, "generation_config", None)
        self._ends = _token_ids(getattr(generation, "eos_token_id", None)) | _token_ids(self.tokenizer.eos_token_id)
        self._penalty = float(getattr(generation, "repetition_penalty", None) or 1.0)
        """Repetition penalty of the model, which was applied when the artifact was measured."""
        settings = self._model.config.get_text_config()
        self.vocabulary: int = settings.vocab_size
        self.context: int | None = getattr(settings, "max_position_embeddings", None)
        accepted = inspect.signature(self._model.forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        # the first call clears a truncation of tokenizer.json; later calls do not change the tokenizer, so worker
        # threads may use it at the same time
        self.encode("", special=False)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids of a text; `special` adds the tokenizer's special tokens around a prompt."""
        return [int(token) for token in self.tokenizer(text, add_special_tokens=special)["input_ids"]]

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Exactly `count` greedy tokens, also after an end-of-text token."""
        tokens = self._tokens(Job(tuple(prompt), count, temperature=0))
        return [token for token, _ in zip(tokens, range(count), strict=False)]

    def run(self, job: Job, emit: Callable[[Piece], None], cancelled: Event) -> None:
        """Generate until the end, a stop string, the limit or cancellation. The last piece has `finish`."""
        detokenizer = Detokenizer(self._decode, job.prompt[-_CONTEXT_TOKENS:] if job.continues else ())
        scanner = StopScanner(job.stops)
        finish = LENGTH
        count = 0
        if cancelled.is_set():
            emit(Piece("", count, ABORT))
            return
        for token in self._tokens(job):
            count += 1
            if token in self._ends:
                finish = STOP
                break
            text, stopped = scanner.add(detokenizer.add(token))
            if stopped:
                emit(Piece(text, count, STOP))
                return
            if cancelled.is_set():
                finish = ABORT
                break
            emit(Piece(text, count))
            if count == job.max_tokens:
                break
        text, stopped = scanner.add(detokenizer.finish())
        emit(Piece(text if stopped else text + scanner.finish(), count, STOP if stopped else finish))

    def _tokens(self, job: Job) -> Iterator[int]:
        device = self._model.device
        generator = torch.Generator(device=device)
        if job.seed is None:
            generator.seed()
        else:
            generator.manual_seed(job.seed)
        ids = torch.tensor([job.prompt], device=device)
        seen, cache = ids, None
        while True:
            # not around the loop: a suspended generator would leave this mode active in the caller's thread
            with torch.inference_mode():
                output = self._model(input_ids=ids, past_key_values=cache, use_cache=True, **self._options)
                cache = output.past_key_values
                token = pick(
                    penalized(output.logits[:, -1].float(), seen, self._penalty), job.temperature, job.top_p, generator
                )
                ids = torch.tensor([[token]], device=device)
                if self._penalty != 1.0:
                    seen = torch.cat((seen, ids), dim=1)
            yield token

    def _decode(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _token_ids(value: int | Sequence[int] | None) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset([value] if isinstance(value, int) else value)
