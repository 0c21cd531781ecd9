"""A tiny Llama with a real tokenizer, made in seconds and always the same; tests of builder, server, cluster use it.

It is trained for a moment on the builder's own texts, so that quantizing it does measurable harm.
Run by .venv-builder's Python: `tiny_model.py --output DIRECTORY`; with `--heads 8 --key-value-heads 2 --layers 4` one
that eight GPUs and two stages can share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import trtllm_builder

_TEXTS = Path(trtllm_builder.__file__).parent / "texts" / "calibration"
_VOCABULARY = 1024
_CHAT = (
    "{% for message in messages %}<|user|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make(
    output: Path,
    *,
    steps: int = 120,
    hidden: int = 256,
    layers: int = 2,
    heads: int | None = None,
    key_value_heads: int | None = None,
    vocabulary: int = _VOCABULARY,
    rope_theta: float = 50000.0,
) -> None:
    """Write the model; `rope_theta` is not the default, so that losing it is noticed.

    A head has 64 columns and two of them share a key and value unless `heads` and `key_value_heads` say otherwise.
    """
    heads = heads or hidden // 64
    torch.manual_seed(7)
    # layers this small gain nothing by a second thread, which spins for its turn where cores are shared
    torch.set_num_threads(1)
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
    _train(model, torch.tensor(tokenizer(text)["input_ids"]), steps)
    model.to(torch.bfloat16).save_pretrained(output)
    tokenizer.save_pretrained(output)


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


def _train(model: LlamaForCausalLM, tokens: torch.Tensor, steps: int) -> None:
    length, batch = 128, 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        starts = torch.randint(0, len(tokens) - length, (batch,))
        rows = torch.stack([tokens[start : start + length] for start in starts.tolist()])
        loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int)
    parser.add_argument("--key-value-heads", type=int)
    parser.add_argument("--steps", type=int, default=120)
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
