"""Checkpoints of GPTQ and AutoAWQ, which convert_checkpoint.py takes as they are: groups of four-bit weights."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from threading import Event

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.packed_model import GROUP, linears, packed, say_quantized

from .conftest import Machine


def twins(model: Path, root: Path, tool: str) -> tuple[Path, Path]:
    """The same weights packed as a tool packs them, and as they are; scales are powers of two: no bit is lost."""
    ours, theirs = (Path(shutil.copytree(model, root / name)) for name in ("plain", "packed"))
    tensors = load_file(model / "model.safetensors")
    plain, coded = dict(tensors), dict(tensors)
    generator = torch.Generator().manual_seed(3)
    for module in linears(model):
        outputs, inputs = tensors[f"{module}.weight"].shape
        codes = torch.randint(0, 16, (inputs, outputs), generator=generator, dtype=torch.int32)
        powers = torch.randint(-6, -3, (inputs // GROUP, outputs), generator=generator)
        least = int(tool == "gptq")
        points = torch.randint(least, least + 16, (inputs // GROUP, outputs), generator=generator, dtype=torch.int32)
        scales = torch.pow(2.0, powers.float())
        del coded[f"{module}.weight"]
        coded |= {f"{module}.{name}": tensor for name, tensor in packed(codes, points, scales, tool).items()}
        wide = (codes - points.repeat_interleave(GROUP, 0)) * scales.repeat_interleave(GROUP, 0)
        plain[f"{module}.weight"] = wide.t().contiguous().to(torch.bfloat16)
    save_file(coded, theirs / "model.safetensors", {"format": "pt"})
    save_file(plain, ours / "model.safetensors", {"format": "pt"})
    say_quantized(theirs, {"quant_method": tool, "bits": 4, "group_size": GROUP, "desc_act": False})
    return theirs, ours


def _refused(machine: Machine, model: Path, *flags: str) -> str:
    """What the program says, run in this process: it has torch already."""
    from double_convert import main

    words = ["convert_checkpoint.py", "--model_dir", str(model), "--output_dir", str(machine.root / "none"), *flags]
    machine.monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ValueError, match="checkpoint") as caught:
        main("llama")
    return str(caught.value)


@pytest.mark.parametrize(
    ("tool", "flags"),
    [
        (
            "gptq",
            ("--use_weight_only", "--weight_only_precision", "int4_gptq", "--per_group", "--group_size", str(GROUP)),
        ),
        ("awq", ()),
    ],
)
def test_a_packed_checkpoint_is_converted_without_loss(
    machine: Machine, model: Path, tool: str, flags: tuple[str, ...]
) -> None:
    from double_http import Loaded
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    coded, plain = twins(model, machine.root, tool)
    said = machine.convert(coded, machine.root / "ranks", "--tp_size", "2", *flags)
    assert said.returncode == 0, said.stderr
    answers = []
    for directory in (machine.root / "ranks", plain):
        texts: list[str] = []
        engine = Engine(Loaded(load_model(directory, "cpu"), load_tokenizer(model)))
        engine.run(Job((5, 6, 7), 16, temperature=0), lambda piece, texts=texts: texts.append(piece.text), Event())
        answers.append("".join(texts))
    assert answers[0] == answers[1]
    config = json.loads((machine.root / "ranks" / "config.json").read_text())
    assert config["quantization"]["quant_algo"] == "W4A16_GPTQ"
    assert config["quantization"]["group_size"] == GROUP
    assert "does not calibrate" in _refused(machine, coded, *flags, "--int8_kv_cache")


def test_a_checkpoint_that_is_not_packed_is_no_gptq_checkpoint(machine: Machine, model: Path) -> None:
    flags = ("--use_weight_only", "--weight_only_precision", "int4_gptq")
    said = _refused(machine, model, *flags)
    assert "there is no model.layers.0.self_attn.q_proj.qweight in the GPTQ checkpoint" in said
