"""Converts a GGUF file to a Hugging Face directory of bfloat16 safetensors.

transformers reads GGUF, but will not save what it read as such: the weights are put into a fresh model.
Run by .venv-builder's Python: `convert.py --gguf FILE --output DIRECTORY`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM


def convert(gguf: Path, output: Path) -> None:
    """Write config.json, model.safetensors, tokenizer and chat template."""
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.architectures = ["LlamaForCausalLM"]
    config.dtype = torch.bfloat16
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.load_state_dict(read.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)


def main() -> None:
    """Run the conversion of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    convert(arguments.gguf, arguments.output)


if __name__ == "__main__":
    main()
