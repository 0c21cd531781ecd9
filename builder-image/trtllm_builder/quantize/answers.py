"""Greedy answers, for canaries, the check for degenerate output, and the known prompt of servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from trtllm_api.manifest import Probe

QUESTION = "What is the capital of France?"
OPENING = "The capital of France is"
"""Prompt for models without a chat template."""
FREE_TOKENS = 48
PROBE_TOKENS = 16


@dataclass(frozen=True)
class Answer:
    """A prompt and the model's answer, as text and tokens."""

    prompt: str
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    text: str


def answer(model: Any, tokenizer: Any, prompt: str, tokens: int) -> Answer:
    """Greedy answer to the prompt, with the chat template if there is one."""
    ids = prompt_ids(tokenizer, prompt)
    rows = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        generated = model.generate(
            rows,
            attention_mask=torch.ones_like(rows),
            max_new_tokens=tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        )
    new = tuple(int(token) for token in generated[0, len(ids) :])
    return Answer(prompt, tuple(ids), new, tokenizer.decode(new, skip_special_tokens=True))


def free_answer(model: Any, tokenizer: Any) -> Answer:
    """Answer to a general question, which every model can answer in language."""
    return answer(model, tokenizer, QUESTION if tokenizer.chat_template else OPENING, FREE_TOKENS)


def probe_of(free: Answer) -> Probe:
    """Known prompt of the artifact: the first tokens of its free answer, which every server must repeat."""
    return Probe(
        prompt=free.prompt, prompt_token_ids=free.prompt_ids, answer_token_ids=free.ids[:PROBE_TOKENS], answer=free.text
    )


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Tokens of the prompt, as a server sends them to the model."""
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    return [int(token) for token in tokenizer(prompt)["input_ids"]]
