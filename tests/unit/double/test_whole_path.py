"""From a Hugging Face model to answers, through the builder's own stages and the double's programs."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trtllm_api.contract import ConvertRequest, EngineResult, ExpectedGpu, PublishRequest, RanksRequest
from trtllm_api.digest import digest_of
from trtllm_api.manifest import ArtifactKind
from trtllm_builder.engine.convert import run_convert
from trtllm_builder.engine.publish import run_publish
from trtllm_builder.engine.ranks import INDEX_ENV, run_ranks
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store

from .conftest import EXAMPLES, Machine

REQUEST = "sha256:" + "cd" * 32
PRODUCT = "NVIDIA-H100-80GB-HBM3"
LIMITS = ("--max_batch_size", "4", "--max_input_len", "96", "--max_seq_len", "128")
WITHIN = ("--max_batch_size", "4", "--max_num_tokens", "512")
AS_ROOT = ("--allow-run-as-root",) if os.geteuid() == 0 else ()
Greedy = Callable[..., tuple[list[int], str]]


class Road:
    """The stages' requests for one model and layout, and a claim to work on."""

    def __init__(self, machine: Machine, model: Path, tensor: int, pipeline: int, version: str = "1.2.1") -> None:
        self.machine, self.tensor, self.pipeline, self.version = machine, tensor, pipeline, version
        (machine.root / "store").mkdir()
        self.store, self.log = Store(machine.root / "store"), io.StringIO()
        with self.store.publish({"model": "tiny"}, ArtifactKind.SOURCE) as draft:
            shutil.copytree(model, draft.directory, dirs_exist_ok=True)
        self.source = self.store.directory(digest_of({"model": "tiny"}), ArtifactKind.SOURCE)

    @property
    def world(self) -> int:
        return self.tensor * self.pipeline

    def convert(self, *arguments: str) -> None:
        sizes = ("--tp_size", str(self.tensor), "--pp_size", str(self.pipeline))
        request = ConvertRequest(
            script="llama",
            arguments=(*sizes, *arguments),
            model_path=str(self.source),
            model_manifest=str(self.source / "manifest.json"),
            tensor=self.tensor,
            pipeline=self.pipeline,
            gpu=ExpectedGpu(product=PRODUCT, compute_capability="9.0"),
            version=self.version,
        )
        with self.machine.monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(self.machine.python))
            run_convert(request, self.store, Progress(self.log), REQUEST, EXAMPLES)

    def build(self, pod: int, pods: int, *arguments: str, workers: int = 1, checkpoint: Path | None = None) -> None:
        request = RanksRequest(
            checkpoint_path=None if checkpoint is None else str(checkpoint),
            arguments=(*LIMITS, *arguments),
            world=self.world,
            pods=pods,
            gpus_per_pod=2,
            workers=workers,
            gpu=ExpectedGpu(product=PRODUCT, compute_capability="9.0", count=2),
            version=self.version,
        )
        self.machine.set(**{INDEX_ENV: str(pod)})
        run_ranks(request, self.store, Progress(self.log), REQUEST)

    def publish(self, pods: int) -> EngineResult:
        request = PublishRequest(
            inputs={"model": "tiny"}, world=self.world, pods=pods, tensor=self.tensor, pipeline=self.pipeline
        )
        return run_publish(request, self.store, Progress(self.log), REQUEST)


def serve_arguments(road: Road) -> tuple[str | Path, ...]:
    sizes = ("--tp_size", str(road.tensor), "--pp_size", str(road.pipeline))
    return ("--tokenizer", road.source, "--backend", "tensorrt", *sizes, *WITHIN)


def test_an_engine_of_four_ranks_by_two_pods_answers_as_its_source(
    machine: Machine, model: Path, greedy: Greedy
) -> None:
    road = Road(machine, model, 2, 2)
    road.convert()
    road.build(0, 2, workers=2)
    road.build(1, 2)
    result = road.publish(2)
    engine = road.store.root / result.path
    assert (result.world, result.version, result.product, result.compute_capability) == (4, "1.2.1", PRODUCT, "9.0")
    limits = result.limits
    assert (limits.max_batch_size, limits.max_input_length, limits.max_sequence_length) == (4, 96, 128)
    assert sorted(file.name for file in engine.glob("rank*")) == [f"rank{rank}.engine" for rank in range(4)]
    with machine.serving(engine, *serve_arguments(road)) as server:
        prompt, answer = greedy("The license grants", 24)
        assert answer.strip()
        assert server.complete(prompt, 24) == server.complete("The license grants", 24) == answer
        _check_chat(server, greedy)
        _check_limits(server)
        assert server.get("/prometheus/metrics")[0] == 404


def _check_chat(server: Any, greedy: Greedy) -> None:
    messages = [{"role": "user", "content": "What is software?"}]
    _, answer = greedy("<|user|>What is software?<|end|><|assistant|>", 12, special=False)
    status, body = server.post("/v1/chat/completions", messages=messages, max_tokens=12, temperature=0)
    assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, answer)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    status, body = server.post("/v1/chat/completions", messages=messages, max_tokens=12, temperature=0, **options)
    *events, done = [line.removeprefix("data: ") for line in body.splitlines() if line]
    chunks = [json.loads(event) for event in events]
    said = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert (status, done, "".join(said)) == (200, "[DONE]", answer)
    assert chunks[-1]["usage"]["completion_tokens"] <= 12


def _check_limits(server: Any) -> None:
    status, body = server.post("/v1/completions", prompt=[5] * 97, max_tokens=4)
    assert status == 400
    assert "Prompt length (97) exceeds maximum input length (96)" in body
    status, body = server.post("/v1/completions", prompt=[5] * 90, temperature=0)
    assert json.loads(body)["usage"]["total_tokens"] <= 128
    assert json.loads(server.get("/v1/models")[1])["data"][0]["object"] == "model"
    assert json.loads(server.get("/version")[1]) == {"version": "1.2.1"}
    assert server.get("/health_generate")[0] == 200


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_an_engine_with_packed_weights_says_what_its_checkpoint_computes(
    machine: Machine, model: Path, precision: str
) -> None:
    from threading import Event

    from double_http import Loaded
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    road = Road(machine, model, 2, 1)
    road.convert("--use_weight_only", "--weight_only_precision", precision)
    checkpoint = road.store.work(REQUEST) / "checkpoint"
    computed = Engine(Loaded(load_model(checkpoint, "cpu"), load_tokenizer(model)))
    road.build(0, 1)
    engine = road.store.root / road.publish(1).path
    texts: list[str] = []
    computed.run(Job((5, 6, 7), 16, temperature=0), lambda piece: texts.append(piece.text), Event())
    with machine.serving(engine, *serve_arguments(road)) as server:
        assert server.complete([5, 6, 7], 16) == "".join(texts)


def test_a_checkpoint_of_the_quantize_stage_becomes_an_engine(machine: Machine, model: Path) -> None:
    from threading import Event

    from double_http import Loaded
    from support import roundtrip
    from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    shop = roundtrip.workshop(model, "cpu")
    plan = roundtrip.RANKED["FP8-cache"]
    wanted = Checkpoint(format=CheckpointFormat.TENSORRT_LLM, tensor=2)
    simulated = shop.quantized(plan, wanted)
    checkpoint = shop.ship(simulated, plan, wanted, machine.root / "ranks")
    road = Road(machine, model, 2, 1)
    road.build(0, 1, checkpoint=checkpoint)
    engine = road.store.root / road.publish(1).path
    computed, texts = Engine(Loaded(load_model(checkpoint, "cpu"), load_tokenizer(checkpoint))), list[str]()
    computed.run(Job((5, 6, 7), 16, temperature=0), lambda piece: texts.append(piece.text), Event())
    with machine.serving(engine, *serve_arguments(road)) as server:
        assert server.complete([5, 6, 7], 16) == "".join(texts)


def test_a_rank_left_out_is_named_and_each_process_of_mpirun_gives_rank_0_its_own_shard(
    machine: Machine, model: Path, greedy: Greedy
) -> None:
    road = Road(machine, model, 2, 1)
    road.convert()
    machine.set(TRTLLM_DOUBLE_LEAVE_OUT="1")
    with pytest.raises(BuilderFailure, match=r"ended with exit code 0, but rank1\.engine"):
        road.build(0, 1)
    machine.monkeypatch.delenv("TRTLLM_DOUBLE_LEAVE_OUT")
    road.build(0, 1)
    engine = road.store.root / road.publish(1).path
    mpirun = ("mpirun", "-np", "2", "--oversubscribe", "--bind-to", "none", *AS_ROOT, "trtllm-llmapi-launch")
    with machine.serving(engine, *serve_arguments(road), before=mpirun) as server:
        prompt, answer = greedy("The license grants", 24)
        assert server.complete(prompt, 24) == answer
        # as the launcher tells it to go: the server first, and the others go with it
        for number in server.descendants("trtllm-serve"):
            os.kill(number, signal.SIGTERM)
        assert server.process.wait(20) == 0
    (log,) = machine.root.glob("serve-*.log")
    assert "rank 1 of 2 has loaded" in log.read_text()


def test_the_pytorch_runtime_serves_a_hugging_face_checkpoint_in_two_shares(
    machine: Machine, model: Path, greedy: Greedy
) -> None:
    options = machine.root / "options.yaml"
    options.write_text(json.dumps({"return_perf_metrics": True, "enable_iter_perf_stats": True}))
    flags = ("--backend", "pytorch", "--tp_size", "2", "--extra_llm_api_options", options)
    with machine.serving(model, *flags) as server:
        prompt, answer = greedy("The license grants", 24)
        assert server.complete(prompt, 24) == answer
        assert json.loads(server.get("/metrics")[1])[0]["iter"] == 1
        assert server.get("/metrics") == (200, "[]")
        assert "trtllm_request_success_total{" in server.get("/prometheus/metrics")[1]


def test_the_pytorch_runtime_serves_what_modelopt_quantized(machine: Machine, model: Path) -> None:
    from threading import Event

    from double_http import Loaded
    from support import roundtrip
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    made = roundtrip.workshop(model, "cpu").export(roundtrip.PLANS["FP8"], machine.root / "fp8", simulate=False)
    computed, texts = Engine(Loaded(load_model(made.directory, "cpu"), load_tokenizer(model))), list[str]()
    computed.run(Job((5, 6, 7), 16, temperature=0), lambda piece: texts.append(piece.text), Event())
    with machine.serving(made.directory, "--backend", "pytorch") as server:
        assert server.complete([5, 6, 7], 16) == "".join(texts)
