"""Questions that are refused for limits, options, files or pods."""

from __future__ import annotations

from dataclasses import replace

from engine_questions import (
    AWQ,
    MIG,
    SHARD,
    files,
    limits,
    made,
    pod,
    stamp,
)
from public_models import A10, A100, B200, ask

from trtllm_planner.memory import GIB
from trtllm_planner.question import (
    EngineQuestion,
    HostFacts,
    KvCacheType,
    Options,
)
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat

REFUSED_REST: dict[str, tuple[EngineQuestion, str, str]] = {
    "more positions than the model has": (
        ask("Llama-3-8B", limits=limits(max_seq_len=16384), options=Options(chunked_prefill=True)),
        "LimitsInvalid",
        ("maxSequenceLength 16384 exceeds the 8192 positions of the model (with rotary scaling): use 8192 or less"),
    ),
    "prompts longer than sequences": (
        ask(limits=limits(max_seq_len=2048, max_input_len=4096)),
        "LimitsInvalid",
        (
            "maxInputLength 4096 exceeds maxSequenceLength 2048, which counts prompt and answer: use "
            "maxInputLength 2047 or less, or a larger maxSequenceLength"
        ),
    ),
    "prompts that are never scheduled": (
        ask(limits=limits(max_input_len=4000, max_num_tokens=2048)),
        "LimitsInvalid",
        (
            "prompts of maxInputLength 4000 tokens exceed maxTokens 2048, so they can never be scheduled: set "
            "serving.chunkedPrefill, or use maxTokens 4000 or more"
        ),
    ),
    "beams of the PyTorch runtime": (
        ask(limits=limits(max_beam_width=4)),
        "LimitsInvalid",
        (
            "with maxBeamWidth 4 the PyTorch runtime answers only requests of exactly that many beams, so its "
            "server can never answer the known prompt: leave maxBeamWidth out, or use runtime TensorRT, whose "
            "engines take any number up to it"
        ),
    ),
    "gathered logits beside speculation": (
        ask(options=Options(gather_context_logits=True, max_draft_len=4)),
        "LimitsInvalid",
        (
            "build.gatherContextLogits cannot be combined with build.speculativeDecoding (maxDraftLength 4): leave "
            "one of them out"
        ),
    ),
    "an engine of another version": (
        made(stamp=stamp(version="1.0.0")),
        "EngineIncompatible",
        (
            "the engine was built by TensorRT-LLM 1.0.0, and image nvcr.io/nvidia/tensorrt-llm/release:1.2.1 has "
            "1.2.1: build "
            "it again with this image, or serve it with the image that built it"
        ),
    ),
    "an engine of another GPU": (
        made(stamp=stamp(product=A10.product, capability=(8, 6))),
        "EngineIncompatible",
        (
            "the engine was built for SM86 (NVIDIA-A10), and NVIDIA-H100-80GB-HBM3 is SM90: bind it to nodes of "
            "NVIDIA-A10, "
            "or build it again for NVIDIA-H100-80GB-HBM3"
        ),
    ),
    "an engine of another size": (
        made(stamp=stamp(world=2, rank_files=2)),
        "WorldSizeMismatch",
        "the engine has 2 ranks, and TP 1 asks for 1: serve it with 2 ranks, or build it again",
    ),
    "an engine without one of its ranks": (
        made(layout=Layout(2), stamp=stamp(world=2, rank_files=1)),
        "EngineIncompatible",
        "the engine has files of 1 of its 2 ranks: build it again: a rank is missing or empty",
    ),
    "a pointer instead of weights": (
        files(replace(SHARD, bytes=134, pointer=True)),
        "SourceCorrupt",
        (
            "model-00001-of-00002.safetensors is a Git-LFS pointer of 134 bytes, not weights: run `git lfs "
            "pull`, or use the "
            "hub's client"
        ),
    ),
    "a truncated file": (
        files(replace(SHARD, bytes=1000)),
        "SourceCorrupt",
        "model-00001-of-00002.safetensors is truncated: 1000 of 1100 bytes: download it again",
    ),
    "a header that is none": (
        files(replace(SHARD, header_bytes=2_000_000_000)),
        "SourceCorrupt",
        (
            "model-00001-of-00002.safetensors has a header of 2000000000 bytes, and 100000000 is the maximum: "
            "download it again"
        ),
    ),
    "a missing file": (
        files(SHARD, indexed=frozenset({SHARD.name, "model-00002-of-00002.safetensors"})),
        "SourceIncomplete",
        (
            "1 of 2 files of the index are missing: model-00002-of-00002.safetensors: download the checkpoint again, "
            "completely"
        ),
    ),
    "no weights": (
        files(),
        "SourceIncomplete",
        (
            "the directory has no .safetensors file: name the directory of a Hugging Face checkpoint; GGUF and "
            ".bin are not "
            "read"
        ),
    ),
    "no tokenizer": (
        files(SHARD, tokenizer=False),
        "SourceIncomplete",
        (
            "the checkpoint has no tokenizer: add tokenizer.json (or tokenizer.model) and tokenizer_config.json "
            "of the same "
            "model"
        ),
    ),
    "chat without a template": (
        ask(options=Options(chat=True)),
        "ChatTemplateMissing",
        (
            "the chat endpoint is used, and the tokenizer has no chat template: use the model's "
            "instruction-tuned variant, give a chat template, or serve completions only"
        ),
    ),
    "an INT8 cache in PyTorch": (
        ask(kv_cache=KvFormat.INT8),
        "OptionsConflict",
        "the PyTorch runtime has no INT8 KV cache: use an FP8 KV cache, or runtime TensorRT",
    ),
    "an INT8 cache that is reused": (
        made(kv_cache=KvFormat.INT8, options=Options(block_reuse=True)),
        "OptionsConflict",
        "reuse of the KV cache cannot be combined with an INT8 KV cache: use FP8, or no reuse",
    ),
    "an INT8 cache that was not calibrated": (
        made(kv_cache=KvFormat.INT8, calibrated=False),
        "OptionsConflict",
        "an INT8 KV cache without calibrated scales answers garbage: calibrate the model, or leave it out",
    ),
    "reuse without paged context attention": (
        made(options=Options(block_reuse=True, paged_context_fmha=False)),
        "OptionsConflict",
        (
            "KV cache reuse needs paged context attention: set build.pagedContextAttention and "
            "build.contextAttention true"
        ),
    ),
    "a cache that is not paged": (
        made(options=Options(kv_cache_type=KvCacheType.CONTINUOUS)),
        "OptionsConflict",
        (
            "in-flight batching needs packed input and a paged KV cache, not continuous: set build.kvCacheType "
            "Paged and build.removeInputPadding true"
        ),
    ),
    "blocks of FP8 beside an NVFP4 cache": (
        ask("DeepSeek-V3", gpu=B200, layout=Layout(8), kv_cache=KvFormat.NVFP4),
        "OptionsConflict",
        "FP8_BLOCK_SCALES cannot be combined with an NVFP4 KV cache: use an FP8 KV cache",
    ),
    "an FP8 cache on Ampere": (
        ask(gpu=A100, kv_cache=KvFormat.FP8),
        "OptionsConflict",
        (
            "an FP8 KV cache needs SM89, SM90, SM100, SM103, SM120, SM121; NVIDIA-A100-SXM4-80GB is SM80: leave the KV "
            "cache at its "
            "own precision"
        ),
    ),
    "groups without a kernel": (
        ask(algorithm=AWQ, group_size=32),
        "OptionsConflict",
        "W4A16_AWQ with group size 32 has no kernel: use group size 64 or 128",
    ),
    "the fused plugin without the fused MLP": (
        made(options=Options(gemm_swiglu_plugin=True, fused_mlp=False)),
        "OptionsConflict",
        "build.plugins.gemm_swiglu needs build.fusedMlp: set build.fusedMlp true, or leave the plugin out",
    ),
    "profiles beside an optimum": (
        made(options=Options(multiple_profiles=True, opt_num_tokens=1024)),
        "OptionsConflict",
        "build.multipleProfiles cannot be combined with build.optTokens: leave one of them out",
    ),
    "64 MiB of shared memory": (
        pod(shared_memory_bytes=None),
        "PodUnsuitable",
        (
            "2 GPUs in a pod with 64 MiB of /dev/shm: NCCL fails with a bus error: mount an emptyDir with medium "
            "Memory and "
            "1.0 GiB or more at /dev/shm"
        ),
    ),
    "shared memory that eats the limit": (
        pod(memory_limit_bytes=GIB),
        "PodUnsuitable",
        (
            "the 2.0 GiB of /dev/shm are charged to the pod's memory limit of 1.0 GiB: raise the limit by the size of "
            "/dev/shm"
        ),
    ),
    "a server on localhost": (
        pod(host="localhost"),
        "PodUnsuitable",
        "--host localhost cannot be reached from outside the pod: use --host 0.0.0.0",
    ),
    "nowhere to write": (
        pod(writable=frozenset({"HOME"})),
        "PodUnsuitable",
        "HF_HOME, TRITON_CACHE_DIR name no writable directory: mount an emptyDir and set the variables to it",
    ),
    "a small volume": (
        pod(volume_bytes=100 * GIB, needed_bytes=95 * GIB),
        "PodUnsuitable",
        (
            "the volume has 100.0 GiB; source, checkpoint and engine need 104.5 GiB (10 % margin): use a volume "
            "of 104.5 GiB "
            "or more"
        ),
    ),
    "a short startup": (
        pod(startup_seconds=60, needed_startup_seconds=600),
        "PodUnsuitable",
        "the startup probe gives 60 s, and loading takes about 600 s: allow 600 s or more",
    ),
    "an old driver, compared as numbers": (
        pod(driver="99.10", least_driver="570.0"),
        "PodUnsuitable",
        (
            "the node's driver is 99.10; image nvcr.io/nvidia/tensorrt-llm/release:1.2.1 needs 570.0 or newer: "
            "use nodes with "
            "a newer driver, or an older image"
        ),
    ),
    "calibration data behind an air gap": (
        pod(offline=True, needs_hub=True),
        "PodUnsuitable",
        (
            "the calibration data are on the hub, which an offline pod cannot reach: mount them from a claim or "
            "a ConfigMap"
        ),
    ),
    "two ranks on MIG slices": (
        ask(gpu=MIG, layout=Layout(2)),
        "PodUnsuitable",
        (
            "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb is a MIG slice: TP 2 needs 2 whole GPUs with peer access: use TP "
            "1, or nodes "
            "whose GPUs are neither sliced nor shared"
        ),
    ),
    "a GPU that cannot hold the source": (
        ask("Llama-3-70B", algorithm=Algorithm.FP8, host=HostFacts(512 * GIB, 80 * GIB, calibrates=True)),
        "HostMemoryTooSmall",
        (
            "80.0 GiB of GPU memory to calibrate a checkpoint of 131.4 GiB; the heuristic is 136.7 GiB: use more "
            "or larger "
            "GPUs, so that no layer is offloaded"
        ),
    ),
    "a host that cannot hold the source": (
        ask(host=HostFacts(8 * GIB), runtime=EngineRuntime.TENSORRT),
        "HostMemoryTooSmall",
        (
            "8.0 GiB of host memory to convert and build a checkpoint of 15.0 GiB; the heuristic is 64.0 GiB: "
            "set podTemplate.resources.requests.memory to 64.0 GiB"
        ),
    ),
}
