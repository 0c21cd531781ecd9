"""Parameters of a request besides its prompt (samples, beams, adapters), and its answers.

The refusals are those of SamplingParams and of the runtime that the server has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import torch

from double_adapters import Terms
from trtllm_builder.serve.generation import Engine, Job, Piece
from trtllm_planner.tensorrt_llm.versions import Version

_BEAMS = Version(1, 0, 0, 0)
"""First version whose PyTorch runtime has beam search."""


@dataclass(frozen=True)
class Asked:
    """Checked request for one prompt."""

    job: Job
    adapter: Terms | None = None
    returned: int = 1
    beams: int = 1
    """Number of beams; 1 is no beam search."""
    length_penalty: float = 1.0
    early_stopping: bool = False

    @property
    def streams(self) -> bool:
        """True if tokens can be sent as they are generated."""
        return self.returned == self.beams == 1


@dataclass(frozen=True)
class Answer:
    """One choice of the answer."""

    text: str
    finish: str
    tokens: int


def ask(job: Job, body: Mapping[str, Any], limits: Mapping[str, int], version: Version, *, pytorch: bool) -> Asked:
    """Choices and beams of a request's body. Raises ValueError with the server's message."""
    returned = body.get("n") or 1
    best = body.get("best_of") or returned
    beams = bool(body.get("use_beam_search"))
    if best < returned:
        raise ValueError(f"best_of ({best}) cannot be less than n ({returned})")
    kind, most = ("max_beam_width", limits["max_beam_width"]) if beams else ("max_batch_size", limits["max_batch_size"])
    if pytorch:
        width = best if beams else 1
        if width > 1 and version < _BEAMS:
            raise ValueError("the double knows no beam search of this version's PyTorch runtime")
        if width != limits["max_beam_width"]:
            raise ValueError(
                f"Request beam width {width} is not equal to max_beam_width {limits['max_beam_width']}. "
                "This is not supported!"
            )
    elif best > most:
        name, number = ("n", returned) if returned == best else ("best_of", best)
        raise ValueError(
            f"sampling_params.{name} ({number}) cannot exceed {kind} ({most}) when use_beam_search is {beams}"
        )
    return Asked(
        job,
        returned=returned,
        beams=best if beams else 1,
        length_penalty=float(body.get("length_penalty", 1.0)),
        early_stopping=bool(body.get("early_stopping", False)),
    )


def sampled(engine: Engine, asked: Asked, emit: Callable[[Piece], None]) -> list[Answer]:
    """Sampled answers, as many as the request returns."""
    answers = []
    for number in range(asked.returned):
        seed = asked.job.seed
        pieces: list[Piece] = []

        def keep(piece: Piece, pieces: list[Piece] = pieces) -> None:
            pieces.append(piece)
            emit(piece)

        engine.run(replace(asked.job, seed=None if seed is None else seed + number), keep, Event())
        text = "".join(piece.text for piece in pieces)
        answers.append(Answer(text, str(pieces[-1].finish), pieces[-1].tokens))
    return answers


def searched(model: Any, tokenizer: Any, asked: Asked) -> list[Answer]:
    """Best beams, best first."""
    prompt = torch.tensor([asked.job.prompt], device=model.device)
    ends = tokenizer.eos_token_id
    with torch.inference_mode():
        found = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            num_beams=asked.beams,
            num_return_sequences=asked.returned,
            max_new_tokens=asked.job.max_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            length_penalty=asked.length_penalty,
            early_stopping=asked.early_stopping,
            eos_token_id=ends,
            pad_token_id=ends,
        )
    return [_answer(tokenizer, row, ends, asked.job) for row in found[:, prompt.shape[1] :].tolist()]


def _answer(tokenizer: Any, row: list[int], end: int, job: Job) -> Answer:
    """A beam up to its end or to the first stop string."""
    stopped = end in row
    kept = row[: row.index(end)] if stopped else row
    text = str(tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    cuts = [text.index(stop) for stop in job.stops if stop in text]
    return Answer(text[: min(cuts)] if cuts else text, "stop" if stopped or cuts else "length", len(kept) + stopped)
