"""A tiny Llama with a real tokenizer, the same to the bit on every machine; tests of builder, double, cluster use it.

Nothing is trained, for training gives other weights on another processor. The weights are drawn, and some of them are
built so that the model knows by heart which token follows which: quantizing harms that, and no answer is near a tie.
Run by .venv-builder's Python: `tiny_model.py --output DIRECTORY`; with `--heads 8 --key-value-heads 2 --layers 4` one
that eight GPUs and two stages can share.
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import trtllm_builder
from support.drawn import drawn

_TEXTS = Path(trtllm_builder.__file__).parent / "texts" / "calibration"
_VOCABULARY = 1024
_CHAT = (
    "{% for message in messages %}<|user|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_DIVISORS = {"norm": 8, "embed_tokens": 1, "v_proj": 16, "o_proj": 128, "down_proj": 64, "_proj": 8}
"""Of what is drawn, by a part of the parameter's name. All are powers of two: nothing is rounded."""
_LOUD_DIVISORS = {"norm": 8, "embed_tokens": 32, "_proj": 4}


def make(
    output: Path,
    *,
    knowledge: bool = True,
    hidden: int = 256,
    layers: int = 2,
    heads: int | None = None,
    key_value_heads: int | None = None,
    vocabulary: int = _VOCABULARY,
    rope_theta: float = 50000.0,
) -> None:
    """Write the model; `rope_theta` is not the default, so that losing it is noticed.

    A head has 64 columns and two of them share a key and value unless `heads` and `key_value_heads` say otherwise.
    Without `knowledge` the layers are noise, and loud: every one of them decides what the model answers.
    """
    heads = heads or hidden // 64
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(_TEXTS.glob("*.txt")))
    tokenizer = _tokenizer(text, vocabulary)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=key_value_heads or heads // 2,
            max_position_embeddings=2048,
            rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
            tie_word_embeddings=True,
        )
    )
    divisors = _DIVISORS if knowledge else _LOUD_DIVISORS
    weights = {
        name: drawn(name, tuple(parameter.shape)) / next(divisors[part] for part in divisors if part in name)
        for name, parameter in model.named_parameters()
    }
    for name in weights:
        if "norm" in name:
            weights[name] += 1
    if knowledge:
        _teach(weights, model.config, _ring(tokenizer(text)["input_ids"]))
    model.load_state_dict(weights, strict=False)  # the head's weight is the embedding's
    model.to(torch.bfloat16).save_pretrained(output)
    tokenizer.save_pretrained(output)


def _teach(weights: dict[str, Tensor], config: LlamaConfig, ring: list[int]) -> None:
    """Let the model answer each token of the ring with the next one.

    The first half of an embedding is the token's own, the second half is that of the token before it on the ring. A
    token attends to itself, since queries are made as keys are, and attention writes its first half over its second:
    with that, the head finds the next token.
    """
    half, shared = config.hidden_size // 2, config.num_key_value_heads
    table = weights["model.embed_tokens.weight"]
    table[torch.tensor(ring).roll(-1), half:] = table[ring, :half]
    weights["model.norm.weight"] /= 16
    weights["model.norm.weight"][:half] /= 16
    sharers = config.num_attention_heads // shared
    for layer in range(config.num_hidden_layers):
        query, key, value, out = (weights[f"model.layers.{layer}.self_attn.{part}_proj.weight"] for part in "qkvo")
        size = len(key) // shared
        query[:] = key.reshape(shared, 1, size, -1).expand(-1, sharers, -1, -1).reshape(query.shape)
        # there and back: orthogonal rows give back what they were given
        rows = _orthogonal(half)[[(layer * len(value) + row) % half for row in range(len(value))]]
        value += torch.cat([rows, -rows], 1) / 8
        out[half:] += rows.T.reshape(half, shared, 1, size).expand(-1, -1, sharers, -1).reshape(half, -1) / 32 / sharers


def _orthogonal(size: int) -> Tensor:
    """Rows of 1 and -1 (Sylvester's matrix); the size is a power of two."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix


def _ring(tokens: list[int]) -> list[int]:
    """All tokens of the texts, each once, in an order that follows the texts where it can.

    So an answer reads a little like them, and never runs in a short circle.
    """
    followers: dict[int, Counter[int]] = {token: Counter() for token in tokens}
    for token, following in pairwise(tokens):
        followers[token][following] += 1
    left = dict.fromkeys(tokens)
    ring = [tokens[0]]
    while len(ring) < len(followers):
        del left[ring[-1]]
        frequent = sorted(followers[ring[-1]].items(), key=lambda item: (-item[1], item[0]))
        ring.append(next((token for token, _ in frequent if token in left), next(iter(left))))
    return ring


def _tokenizer(text: str, vocabulary: int) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(text.splitlines(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=special[0], eos_token=special[1])
    tokenizer.chat_template = _CHAT
    return tokenizer


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int)
    parser.add_argument("--key-value-heads", type=int)
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
