"""A GPTQ checkpoint, which convert_checkpoint.py takes as it is: weights in groups of four bits."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from threading import Event

import pytest
import torch
from safetensors.torch import load_file, save_file

from .conftest import Machine

GROUP = 64


def twins(model: Path, root: Path) -> tuple[Path, Path]:
    """The same weights packed as GPTQ packs them, and as they are; scales are powers of two, so that no bit is lost."""
    packed, plain = (Path(shutil.copytree(model, root / name)) for name in ("packed", "plain"))
    tensors = load_file(model / "model.safetensors")
    ours, theirs = dict(tensors), dict(tensors)
    generator = torch.Generator().manual_seed(3)
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        outputs, inputs = tensors[name].shape
        codes = torch.randint(0, 16, (inputs, outputs), generator=generator, dtype=torch.int32)
        powers = torch.randint(-6, -3, (inputs // GROUP, outputs), generator=generator)
        points = torch.randint(1, 17, (inputs // GROUP, outputs), generator=generator, dtype=torch.int32)
        scales = torch.pow(2.0, powers.float())
        shifts = torch.arange(0, 32, 4, dtype=torch.int32)
        module = name.removesuffix(".weight")
        del theirs[name]
        theirs[f"{module}.qweight"] = (codes.reshape(-1, 8, outputs) << shifts[None, :, None]).sum(1, dtype=torch.int32)
        zeros = ((points - 1).reshape(inputs // GROUP, -1, 8) << shifts).sum(2, dtype=torch.int32)
        theirs[f"{module}.qzeros"], theirs[f"{module}.scales"] = zeros, scales.half()
        wide = (codes - points.repeat_interleave(GROUP, 0)) * scales.repeat_interleave(GROUP, 0)
        ours[name] = wide.t().contiguous().to(tensors[name].dtype)
    save_file(theirs, packed / "model.safetensors", {"format": "pt"})
    save_file(ours, plain / "model.safetensors", {"format": "pt"})
    path = packed / "config.json"
    quantization = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False}
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": quantization}))
    return packed, plain


def _refused(machine: Machine, model: Path, *flags: str) -> str:
    """What the program says, run in this process: it has torch already."""
    from double_convert import main

    words = ["convert_checkpoint.py", "--model_dir", str(model), "--output_dir", str(machine.root / "none"), *flags]
    machine.monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ValueError, match="GPTQ") as caught:
        main("llama")
    return str(caught.value)


def test_a_gptq_checkpoint_is_converted_without_loss(machine: Machine, model: Path) -> None:
    from double_http import Loaded
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    packed, plain = twins(model, machine.root)
    flags = ("--use_weight_only", "--weight_only_precision", "int4_gptq", "--per_group", "--group_size", str(GROUP))
    said = machine.convert(packed, machine.root / "ranks", "--tp_size", "2", *flags)
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
    assert "does not calibrate a GPTQ checkpoint" in _refused(machine, packed, *flags, "--int8_kv_cache")


def test_a_checkpoint_that_is_not_packed_is_no_gptq_checkpoint(machine: Machine, model: Path) -> None:
    flags = ("--use_weight_only", "--weight_only_precision", "int4_gptq")
    said = _refused(machine, model, *flags)
    assert "there is no model.layers.0.self_attn.q_proj.qweight in the GPTQ checkpoint" in said
