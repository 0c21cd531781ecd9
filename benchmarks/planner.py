"""Preflight, plan and decision: a usual model, and a mixture of 100 layers and 256 experts; run.py calls it."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from figure import Figure

from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.verdict import judge
from trtllm_planner.decide import Decision, Refused, decide
from trtllm_planner.inventory import GpuKind, GpuNode, Inventory
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.plan import NoPlan, Plan, plan
from trtllm_planner.question import EngineQuestion, Limits
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.spec_question import asked_layout, engine_question
from trtllm_planner.tensorrt_llm.gpus import PRODUCTS, GpuProduct
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, image_info

RUNS = 50
GOAL_MS = 20
DECISION_GOAL_MS = 5
CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "num_hidden_layers": 100,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 3,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
}
USUAL: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
USUAL_GPUS = ("NVIDIA-L4", "NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3")


def measure() -> list[Figure]:
    """The median of many runs, and the worst of them."""
    question = EngineQuestion(
        facts=facts_from_config(CONFIG),
        limits=Limits(max_seq_len=8192, max_batch_size=64),
        image=image_info("nvcr.io/nvidia/tensorrt-llm/release:1.2.1"),
        algorithm=Algorithm.FP8_BLOCK,
    )
    everything = _cluster(PRODUCTS)
    hopper = next(kind for kind in everything.kinds() if kind.product == "NVIDIA-H100-80GB-HBM3")
    one = Inventory((GpuNode("only", hopper, 8),))
    assert isinstance(plan(question, everything), Plan)
    assert isinstance(plan(question, one), NoPlan)
    layout = replace(question, gpu=hopper, gpus_per_node=8, layout=Layout(8, 4, 1, 1, 8))
    return [
        _figure("preflight, 100 layers, 256 experts", lambda: judge(ENGINE_RULES, layout)),
        _figure("preflight and plan, 18 kinds of GPU on 72 nodes", lambda: plan(question, everything)),
        _figure("plan where nothing fits, with what would", lambda: plan(question, one)),
        *_decisions(_cluster([product for product in PRODUCTS if product.name in USUAL_GPUS])),
    ]


def _decisions(inventory: Inventory) -> list[Figure]:
    """From the spec of a 70B model's engine to a decision, as the operator takes it."""
    facts = facts_from_config(USUAL)

    def taken(parallelism: dict[str, int] | None, kind: type[Decision | Refused]) -> Callable[[], object]:
        spec = EngineBuildSpec.model_validate(
            {
                "source": {"huggingFace": {"repo": "org/model"}},
                "runtime": "TensorRT",
                "image": "nvcr.io/nvidia/tensorrt-llm/release:1.2.1",
                "limits": {"maxBatchSize": 64},
                "parallelism": parallelism,
                "build": {"plugins": {"gemm": "auto"}},
                "serving": {"chunkedPrefill": True},
            }
        )

        def call() -> object:
            return decide(engine_question(spec, facts), asked_layout(spec), inventory, spec.gpu)

        assert isinstance(call(), kind)
        return call

    cases: tuple[tuple[str, dict[str, int] | None, type[Decision | Refused]], ...] = (
        ("planned", None, Decision),
        ("TP 8, PP 2 asked for", {"tensor": 8, "pipeline": 2}, Decision),
        ("TP 3 asked for and refused", {"tensor": 3}, Refused),
    )
    return [
        _figure(f"decide a 70B engine, 3 kinds of GPU on 12 nodes: {name}", taken(asked, kind), DECISION_GOAL_MS)
        for name, asked, kind in cases
    ]


def _cluster(products: Sequence[GpuProduct]) -> Inventory:
    """Four nodes of eight GPUs of each product."""
    kinds = [GpuKind(product.name, product.memory_mib, product.capability) for product in products]
    return Inventory(tuple(GpuNode(f"{kind.product}-{i}", kind, 8) for kind in kinds for i in range(4)))


def _figure(name: str, call: Callable[[], object], goal: int = GOAL_MS) -> Figure:
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1000)
    middle = statistics.median(times)
    return Figure(name, f"{middle:.1f} ms (worst {max(times):.1f})", f"<= {goal} ms", middle <= goal)


if __name__ == "__main__":
    figures = measure()
    for figure in figures:
        print(figure)
    sys.exit(0 if all(figure.reached for figure in figures) else 1)
