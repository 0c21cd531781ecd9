"""Questions that nothing speaks against, and questions with a warning."""

from __future__ import annotations

from engine_questions import (
    AWQ,
    GPTQ,
    MIG,
    SHARD,
    SHARED,
    STAMP,
    checkpoint,
    files,
    limits,
    made,
    pod,
    stamp,
)
from public_models import A10, A100, B200, L4, NEW_IMAGE, RTX5090, ask

from trtllm_planner.inventory import GpuKind
from trtllm_planner.memory import GIB
from trtllm_planner.question import (
    EngineQuestion,
    HostFacts,
    Options,
)
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat, image_info

PASSES: dict[str, EngineQuestion] = {
    "an engine from the last image that builds engines": made(
        image=image_info("nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc20")
    ),
    "PyTorch with the newest image": ask(image=NEW_IMAGE),
    "Gemma 2 as an engine": made(model="Gemma-2-9B"),
    "DeepSeek-V3 in blocks of FP8 over 16 GPUs": ask("DeepSeek-V3", layout=Layout(8, 2)),
    "AutoAWQ of Llama as an engine": made(model="Llama-2-13B", **checkpoint("awq", AWQ, group_size=128)),
    "GPTQ without reordering as an engine": made(**checkpoint("gptq", GPTQ, group_size=128)),
    "compressed-tensors with FP8 channels": ask(**checkpoint("compressed-tensors", Algorithm.FP8_ROWWISE)),
    "FP8 on Ada": ask("Llama-3-8B", algorithm=Algorithm.FP8, gpu=L4),
    "NVFP4 on Blackwell": ask(algorithm=Algorithm.NVFP4, gpu=B200),
    "NVFP4 on a Blackwell of 12.0": ask(algorithm=Algorithm.NVFP4, gpu=RTX5090),
    "W4A16 on Ampere": ask("Llama-2-13B", algorithm=AWQ, gpu=A10),
    "SmoothQuant as an engine on Ampere": made(model="Llama-2-13B", algorithm=Algorithm.SMOOTH_QUANT, gpu=A100),
    "seven ranks for 28 heads, whose four key heads do not allow seven": ask("Qwen2-7B", layout=Layout(4)),
    "more ranks than key heads, which are copied": ask("Qwen2.5-0.5B", layout=Layout(2)),
    "layers that stages do not divide": ask("DeepSeek-V3", layout=Layout(8, 2)),
    "four ranks of Llama-2-13B in groups of 128": ask("Llama-2-13B", algorithm=AWQ, layout=Layout(4)),
    "Qwen2-72B in groups of 64 over two ranks": ask("Qwen2-72B", algorithm=AWQ, group_size=64, layout=Layout(2)),
    "70B AWQ over eight ranks": ask("Llama-3-70B", algorithm=AWQ, layout=Layout(8)),
    "fused layers of Phi-3 over two ranks": ask("Phi-3-mini", algorithm=AWQ, layout=Layout(2)),
    "experts dealt out whole": ask("Mixtral-8x7B", layout=Layout(8, 1, 1, 1, 8)),
    "experts dealt out in both ways": ask("Mixtral-8x7B", layout=Layout(8, 1, 1, 2, 4)),
    "two pods of eight": ask("Llama-3-70B", layout=Layout(8, 2), pods=2),
    "13B in INT4 on one card of 24 GB": ask("Llama-2-13B", algorithm=AWQ, gpu=A10),
    "70B in FP8 on one H100": ask("Llama-3-70B", algorithm=Algorithm.FP8),
    "positions that rotary scaling has extended": ask(
        "Llama-3.1-8B", limits=limits(max_seq_len=131072), options=Options(chunked_prefill=True)
    ),
    "long prompts in chunks": ask(
        limits=limits(max_seq_len=8192, max_num_tokens=2048), options=Options(chunked_prefill=True)
    ),
    "an engine where it was built": made(stamp=STAMP),
    "whole files": files(SHARD, indexed=frozenset({SHARD.name})),
    "an INT8 cache of an engine, calibrated": made(kv_cache=KvFormat.INT8, options=Options(paged_context_fmha=False)),
    "an FP8 cache on Ada": ask(kv_cache=KvFormat.FP8, gpu=L4),
    "reuse with paged context attention": made(options=Options(block_reuse=True)),
    "FP8 context attention beside FP8": made(algorithm=Algorithm.FP8, options=Options(fp8_context_fmha=True)),
    "trusted code of an architecture that nobody knows": ask(
        facts=ask().facts.model_copy(update={"custom_code": True, "architecture": "OwnForCausalLM"}),
        trust_remote_code=True,
    ),
    "prompts as long as sequences and steps": ask(
        limits=limits(max_seq_len=4096, max_input_len=4096, max_num_tokens=4096)
    ),
    "gathered logits without speculation": ask(options=Options(gather_context_logits=True)),
    "an engine whose GPU is not known yet": made(stamp=stamp(product="NVIDIA-A10"), gpu=None),
    "an offline pod whose texts are mounted": pod(offline=True, volume_bytes=110, needed_bytes=100),
    "the fused plugin beside the fused MLP": made(options=Options(gemm_swiglu_plugin=True)),
    "a pod that has everything": pod(),
    "one rank on a MIG slice": ask(gpu=MIG),
    "a host with room": ask(host=HostFacts(64 * GIB, 80 * GIB, calibrates=True)),
    "a chat template for the chat endpoint": ask(
        facts=ask().facts.model_copy(update={"chat_template": True}), options=Options(chat=True)
    ),
}

WARNED: dict[str, tuple[EngineQuestion, str, str]] = {
    "an architecture that a newer image may know": (
        ask(facts=ask().facts.model_copy(update={"architecture": "LlamaNextForCausalLM"}), image=image_info("x:1.9.0")),
        "ArchitectureNotSupported",
        "architecture LlamaNextForCausalLM is none of the 58 that the PyTorch runtime is known to load",
    ),
    "a GPU that is newer than the table": (
        ask(gpu=GpuKind("NVIDIA-X", 200000, (13, 0))),
        "GpuNotSupported",
        "NVIDIA-X is SM130, which is not in the table of kernels (SM80, SM86, SM89, SM90, SM100, SM103, SM120, SM121)",
    ),
    "tensor parallelism across nodes": (
        ask("Llama-3-70B", layout=Layout(16), gpus_per_node=8),
        "TensorSpansNodes",
        "TP 16 spans nodes of 8 GPUs: every layer waits for the network",
    ),
    "idle GPUs": (
        ask("Llama-3-70B", layout=Layout(4, 3), gpus_per_node=8),
        "GpusIdle",
        "TP 4, PP 3 has 12 ranks: 4 GPUs of the last of 2 pods of 8 stay idle",
    ),
    "an engine without a batch size": (
        made(limits=limits(max_batch_size=None)),
        "LimitsInvalid",
        ("limits.maxBatchSize is not set: the engine is built for 2048 sequences, whose logits take 7.8 GiB per GPU"),
    ),
    "prompts that might be refused": (
        ask("Llama-3.1-8B", limits=limits(max_seq_len=32768)),
        "LimitsInvalid",
        "prompts longer than maxTokens 8192 are refused, although maxSequenceLength is 32768",
    ),
    "an engine of another product of the same kind": (
        made(stamp=stamp(product="NVIDIA-H200")),
        "EngineIncompatible",
        "the engine was built on NVIDIA-H200 and would run on NVIDIA-H100-80GB-HBM3: its tactics may be slow there",
    ),
    "context attention that is switched off": (
        made(kv_cache=KvFormat.INT8),
        "OptionsConflict",
        "paged context attention (build.pagedContextAttention) is switched off by an INT8 KV cache",
    ),
    "FP8 context attention without FP8": (
        made(options=Options(fp8_context_fmha=True)),
        "OptionsConflict",
        "build.fp8ContextAttention is switched off with weights of NO_QUANT",
    ),
    "AWQ beside an FP8 cache that is reused": (
        ask(algorithm=AWQ, kv_cache=KvFormat.FP8, options=Options(block_reuse=True)),
        "OptionsConflict",
        "W4A16_AWQ with an FP8 KV cache and paged context attention finds no kernels in some images",
    ),
    "a shared GPU": (
        ask("Qwen2.5-0.5B", gpu=SHARED),
        "PodUnsuitable",
        "NVIDIA-L4-SHARED is shared by 4 pods; nothing limits them to 5.6 GiB each",
    ),
    "no time to finish": (
        pod(grace_seconds=None),
        "PodUnsuitable",
        "terminationGracePeriodSeconds is not set: 30 s may cut answers short",
    ),
    "a host that is small for a build": (
        ask(host=HostFacts(48 * GIB), runtime=EngineRuntime.TENSORRT),
        "HostMemoryTooSmall",
        "48.0 GiB of host memory to convert and build a checkpoint of 15.0 GiB; the heuristic is 64.0 GiB",
    ),
}
