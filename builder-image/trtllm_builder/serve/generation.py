"""The token loop: one request's prompt in, pieces of text out; session.py runs it in a worker thread.

Requests do not share a batch: each runs its own loop over its own KV cache, which suits what a transformers model
serves, a smoke test or a quantized model that no faster engine can load.
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
"""How much of a continued text the detokenizer needs to place spaces rightly."""


class LoadedModel(Protocol):
    """What checkpoint.load_for_inference returns."""

    @property
    def model(self) -> Any:
        """Transformers PreTrainedModel in eval mode."""

    @property
    def tokenizer(self) -> Any:
        """Transformers PreTrainedTokenizerBase."""

    @property
    def manifest(self) -> Manifest:
        """What the artifact says of itself."""


@dataclass(frozen=True)
class Job:
    """One request, ready to run."""

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[str, ...] = ()
    continues: bool = False
    """The answer continues the prompt's text instead of beginning its own."""


@dataclass(frozen=True)
class Piece:
    """What one step yields: `tokens` is the count so far, `finish` is set on the last piece."""

    text: str
    tokens: int
    finish: str | None = None


class Engine:
    """A loaded model; safe to use from several threads."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model, self.tokenizer = loaded.model, loaded.tokenizer
        generation = getattr(self._model, "generation_config", None)
        self._ends = _token_ids(getattr(generation, "eos_token_id", None)) | _token_ids(self.tokenizer.eos_token_id)
        self._penalty = float(getattr(generation, "repetition_penalty", None) or 1.0)
        """Part of the answers that the artifact was measured with, so it is applied here too."""
        settings = self._model.config.get_text_config()
        self.vocabulary: int = settings.vocab_size
        self.context: int | None = getattr(settings, "max_position_embeddings", None)
        accepted = inspect.signature(self._model.forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        # The first call clears a truncation that tokenizer.json may ask for; later calls then never change it, so
        # that worker threads may decode meanwhile.
        self.encode("", special=False)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids of a text; `special` adds what the tokenizer puts around a prompt."""
        return [int(token) for token in self.tokenizer(text, add_special_tokens=special)["input_ids"]]

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Exactly `count` greedy tokens, past the end of the text if need be."""
        tokens = self._tokens(Job(tuple(prompt), count, temperature=0))
        return [token for token, _ in zip(tokens, range(count), strict=False)]

    def run(self, job: Job, emit: Callable[[Piece], None], cancelled: Event) -> None:
        """Generate until the end, a stop string, the limit or cancellation; the last piece has `finish`."""
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
            # Not around the loop: a suspended generator must not leave its mode on in the caller's thread.
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
