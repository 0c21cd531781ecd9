"""LoRA adapters of requests: what they compute, and what is refused."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from safetensors.torch import load_file

from support import lora_adapter

from .conftest import WITHIN, Machine, Server, make_engine, run_build, run_serve

PROMPT = [5, 6, 7]
LORA = ("--lora_plugin", "auto", "--max_lora_rank", "8", "--lora_target_modules")
EVERY = ("attn_q", "attn_k", "attn_v", "attn_dense", "mlp_h_to_4h", "mlp_4h_to_h", "mlp_gate")


@pytest.fixture(scope="session")
def adapters(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`law` and `code` of rank 8, `wide` of rank 16, `narrow` with two modules only."""
    directory = tmp_path_factory.mktemp("adapters")
    lora_adapter.make(model, directory / "law", seed=1)
    lora_adapter.make(model, directory / "code", rank=4, seed=2)
    lora_adapter.make(model, directory / "wide", rank=16, seed=3)
    lora_adapter.make(model, directory / "narrow", seed=1, modules=("q_proj", "v_proj"))
    return directory


@pytest.fixture(scope="session")
def checkpoint(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from double_checkpoints import write_checkpoint

    target = tmp_path_factory.mktemp("plain") / "checkpoint"
    write_checkpoint(model, target, tp=2, dtype="bfloat16")
    return target


def merged(model: Path, adapter: Path | None, modules: tuple[str, ...] = lora_adapter.MODULES) -> str:
    """What transformers answers when the adapter is added to the model's own weights."""
    import torch

    from double_http import Loaded
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    network = load_model(model, "cpu")
    if adapter is not None:
        config, tensors = (
            json.loads((adapter / "adapter_config.json").read_text()),
            load_file(adapter / "adapter_model.safetensors"),
        )
        for key in [key for key in tensors if key.endswith("lora_A.weight")]:
            module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            if module.rpartition(".")[2] in modules:
                product = tensors[key.replace("lora_A", "lora_B")] @ tensors[key]
                with torch.no_grad():
                    network.get_submodule(module).weight += product * config["lora_alpha"] / config["r"]
    texts: list[str] = []
    engine = Engine(Loaded(network, load_tokenizer(model)))
    engine.run(Job(tuple(PROMPT), 16, temperature=0), lambda piece: texts.append(piece.text), Event())
    return "".join(texts)


def lora(adapter: Path, number: int, **more: Any) -> dict[str, Any]:
    return {"lora_request": {"lora_name": adapter.name, "lora_int_id": number, "lora_path": str(adapter), **more}}


def say(server: Server, **body: Any) -> str:
    asked = {"prompt": PROMPT, "max_tokens": 16, "temperature": 0, **body}
    status, reply = server.post("/v1/completions", **asked)
    value = json.loads(reply)
    return str(value["choices"][0]["text"] if status == 200 else value["message"])


def options_file(machine: Machine, **options: Any) -> Path:
    path = machine.root / "options.yaml"
    path.write_text(json.dumps(options))
    return path


def test_an_engine_with_an_adapter_answers_as_the_merged_weights(
    machine: Machine, model: Path, adapters: Path, checkpoint: Path
) -> None:
    engine = make_engine(machine, checkpoint, "--max_batch_size", "4", "--max_seq_len", "64", *LORA, *EVERY)
    law, code = merged(model, adapters / "law"), merged(model, adapters / "code")
    base = merged(model, None)
    assert len({law, code, base}) == 3
    flags = ("--backend", "tensorrt", "--tokenizer", model, "--tp_size", "2", *WITHIN)
    with machine.serving(engine, *flags) as server:
        assert say(server, **lora(adapters / "law", 1)) == law
        assert say(server) == base
        bodies: list[dict[str, Any]] = [lora(adapters / "law", 1), {}, lora(adapters / "code", 2)] * 2
        with ThreadPoolExecutor(len(bodies)) as pool:
            answers = list(pool.map(lambda body: say(server, **body), bodies))
        assert answers == [law, base, code] * 2
        # who is first with an id decides what it means
        assert say(server, **lora(adapters / "code", 1)) == law
        _check_refusals(server, adapters)


def _check_refusals(server: Server, adapters: Path) -> None:
    assert "Invalid low_rank (16). low_rank must be smaller than mMaxLowRank (8)" in say(
        server, **lora(adapters / "wide", 3)
    )
    assert say(server, **lora(adapters / "none", 4)) == f"lora_path ({adapters / 'none'}) does not exist."
    assert say(server, **lora(adapters, 5)) == f"adapter_model file does not exist in {adapters}"
    assert "'lora_int_id'): Field required" in say(server, lora_request={"lora_name": "law"})


def test_a_pytorch_server_chats_with_an_adapter(machine: Machine, model: Path, adapters: Path) -> None:
    file = options_file(machine, lora_config={"lora_target_modules": list(EVERY), "max_lora_rank": 16})
    messages = [{"role": "user", "content": "What is software?"}]
    with machine.serving(model, "--backend", "pytorch", "--extra_llm_api_options", file) as server:
        assert say(server, **lora(adapters / "wide", 1)) == merged(model, adapters / "wide")
        chats = []
        for body in ({}, lora(adapters / "law", 2), lora(adapters / "wide", 1)):
            status, reply = server.post("/v1/chat/completions", messages=messages, max_tokens=8, temperature=0, **body)
            assert status == 200, reply
            chats.append(json.loads(reply)["choices"][0]["message"]["content"])
        assert len(set(chats)) == 3


def test_modules_that_the_first_adapter_does_not_have_are_left_out(
    machine: Machine, model: Path, adapters: Path
) -> None:
    file = options_file(machine, lora_config={"lora_dir": [str(adapters / "narrow")]})
    with machine.serving(model, "--backend", "pytorch", "--extra_llm_api_options", file) as server:
        assert say(server, **lora(adapters / "narrow", 0)) == merged(model, adapters / "narrow")
        attention = merged(model, adapters / "law", ("q_proj", "k_proj", "v_proj"))
        assert say(server, **lora(adapters / "law", 1)) == attention


def test_a_server_that_takes_no_adapters_answers_as_if_none_were_named(
    machine: Machine, model: Path, adapters: Path
) -> None:
    with machine.serving(model, "--backend", "pytorch") as server:
        assert say(server, **lora(adapters / "law", 1)) == merged(model, None)


def test_adapters_of_another_kind_are_refused(model: Path, adapters: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from double_adapters import Adapters, Enabled, modules_of
    from trtllm_builder.checkpoint import load_model

    def changed(name: str, rename: dict[str, str], cut: int | None = None) -> Path:
        copy = Path(shutil.copytree(adapters / "law", tmp_path / name))
        held = load_file(copy / "adapter_model.safetensors")
        for old, new in rename.items():
            held = {key.replace(old, new): tensor[:, :cut].contiguous() for key, tensor in held.items()}
        save_file(held, copy / "adapter_model.safetensors")
        return copy

    loaded = Adapters(load_model(model, "cpu"), Enabled(8, frozenset(EVERY)))
    cases = {
        changed("unknown", {"q_proj": "c_proj"}): "hf_module c_proj is not in supported list",
        changed("odd", {"lora_A": "ia3"}): "unsupported key base_model.model.model.layers.0",
        changed("small", {"lora_A": "lora_A"}, 4): "lora_weights has to few values for",
        changed("dora", {"lora_A.weight": "lora_magnitude_vector"}): "the double computes no DoRA",
    }
    for number, (directory, words) in enumerate(cases.items()):
        with pytest.raises(ValueError, match=words):
            loaded.find(lora(directory, number)["lora_request"])
    embedding = changed("embedding", {"model.layers.0.self_attn.q_proj": "lm_head"})
    assert modules_of(embedding) == sorted(EVERY)


@pytest.mark.parametrize(
    ("version", "config", "words"),
    [
        ("1.2.1", {"targets": []}, r"LoraConfig.__init__\(\) got an unexpected keyword argument 'targets'"),
        ("0.20.0", {"max_lora_rank": 8}, "Expecting at least one lora target module"),
        ("1.2.1", {"lora_dir": ["/a", "/b"]}, "Expecting at least one lora target module"),
        ("1.2.1", {"lora_dir": ["/a"]}, "adapter_model file does not exist in /a"),
    ],
)
def test_options_that_the_runtime_does_not_take_end_the_server(
    machine: Machine, model: Path, version: str, config: dict[str, Any], words: str
) -> None:
    machine.set(TRTLLM_DOUBLE_VERSION=version)
    file = options_file(machine, lora_config=config)
    with pytest.raises((TypeError, AssertionError, ValueError), match=words):
        run_serve(machine, model, "--backend", "pytorch", "--extra_llm_api_options", file)


def test_an_engine_is_built_for_modules_that_are_told_or_found(
    machine: Machine, adapters: Path, checkpoint: Path
) -> None:
    def built(*arguments: str) -> dict[str, Any]:
        run_build(machine, checkpoint, machine.root / "engine", "--max_batch_size", "1", *arguments)
        config = json.loads((machine.root / "engine" / "config.json").read_text())
        return dict(config["build_config"]["lora_config"])

    with pytest.raises(ValueError, match="lora_target_modules is empty"):
        built("--lora_plugin", "auto")
    with pytest.raises(ValueError, match="adapter_model file does not exist in /none"):
        built("--lora_plugin", "auto", "--lora_dir", "/none")
    found = built("--lora_plugin", "auto", "--lora_dir", str(adapters / "narrow"))
    assert (found["lora_target_modules"], found["max_lora_rank"]) == (["attn_q", "attn_v"], 64)
    assert built("--lora_plugin", "auto", "--lora_ckpt_source", "nemo")["lora_target_modules"] == ["attn_qkv"]
    assert built("--lora_plugin", "disable")["lora_target_modules"] == []
