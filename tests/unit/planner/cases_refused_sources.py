"""Questions that are refused for the image, the checkpoint that is there already, the claim or the server's limits."""

from __future__ import annotations

from dataclasses import replace

from engine_questions import AWQ, GPTQ, STAMP, checkpoint, limits, made
from public_models import ENGINE_IMAGE, ask

from trtllm_api.buildoptions import Build, Convert, LoraBuild, LoraServing, PluginType, SmoothQuant, WeightOnly
from trtllm_api.enginebuild import Serving
from trtllm_api.enginestatus import EngineLimits
from trtllm_planner.question import ArtifactFacts, EngineQuestion
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, KvFormat, image_info

UNIFIED = ArtifactFacts(quantized=True, engine_format=False, name="llama-fp8")
DIVIDED = ArtifactFacts(quantized=True, engine_format=True, tensor=2, pipeline=1, name="llama-awq")
BUILT = EngineLimits(
    max_batch_size=16, max_input_length=1024, max_sequence_length=2048, max_tokens=4096, max_beam_width=2
)


def _serving(**changes: object) -> Serving:
    return Serving.model_validate(changes)


_IMAGES: dict[str, tuple[EngineQuestion, str]] = {
    "an image of vLLM": (
        ask(image=image_info("docker.io/vllm/vllm-openai:v0.11.0")),
        (
            "image docker.io/vllm/vllm-openai:v0.11.0 is vllm's, and runtime PyTorch needs TensorRT-LLM's: use "
            "nvcr.io/nvidia/tensorrt-llm/release:1.2.1 or a mirror of it; set imageVersion if it is a mirror "
            "with another name"
        ),
    ),
    "an image of Transformers for an engine": (
        made(image=image_info("huggingface/transformers-pytorch-gpu:4.57.3")),
        (
            "image huggingface/transformers-pytorch-gpu:4.57.3 is transformers's, and runtime TensorRT needs "
            "TensorRT-LLM's: use nvcr.io/nvidia/tensorrt-llm/release:1.2.1 or a mirror of it; set imageVersion "
            "if it is a mirror with another name"
        ),
    ),
    "the builder's own image": (
        made(image=image_info("registry.example/trtllm-builder:1.0.0")),
        (
            "image registry.example/trtllm-builder:1.0.0 is trtllm-builder's, and runtime TensorRT needs "
            "TensorRT-LLM's: use nvcr.io/nvidia/tensorrt-llm/release:1.2.1 or a mirror of it; set imageVersion "
            "if it is a mirror with another name"
        ),
    ),
    "an image whose tag is no version": (
        made(image=image_info("registry.example/trtllm:latest")),
        (
            "the tag of image registry.example/trtllm:latest is no TensorRT-LLM version, and flags and formats "
            "depend on the version: set imageVersion, or use a tag that is a version, such as 1.2.1"
        ),
    ),
    "an image of Triton, whose tag is a month": (
        ask(image=image_info("nvcr.io/nvidia/tritonserver:25.08-trtllm-python-py3")),
        (
            "the tag of image nvcr.io/nvidia/tritonserver:25.08-trtllm-python-py3 is no TensorRT-LLM version, "
            "and flags and formats depend on the version: set imageVersion, or use a tag that is a version, "
            "such as 1.2.1"
        ),
    ),
    "an image that is older than the tables of flags": (
        made(image=image_info("nvcr.io/nvidia/tensorrt-llm/release:0.12.0")),
        (
            "image nvcr.io/nvidia/tensorrt-llm/release:0.12.0 has TensorRT-LLM 0.12.0, and the operator "
            "supports versions from 0.20 on: use nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
        ),
    ),
}
_CHECKPOINTS: dict[str, tuple[EngineQuestion, str]] = {
    "GPTQ in PyTorch": (
        ask(**checkpoint("gptq", GPTQ, group_size=128)),
        (
            "the checkpoint is GPTQ (INT4, group size 128, desc_act false, symmetric), which the PyTorch runtime "
            "cannot load: quantize the original (BF16 or FP16) model instead, for example with method INT4AWQ; or use "
            "runtime TensorRT with TensorRT-LLM 0.20 to 1.3.0rc20, which converts it (group size 64 or 128, desc_act "
            "false, symmetric or not)"
        ),
    ),
    "GPTQ with reordered columns in PyTorch, which runtime TensorRT does not take either": (
        ask(**checkpoint("gptq", GPTQ, group_size=128, act_order=True)),
        (
            "the checkpoint is GPTQ (INT4, group size 128, desc_act true, symmetric), which the PyTorch runtime cannot "
            "load: quantize the original (BF16 or FP16) model instead, for example with method INT4AWQ"
        ),
    ),
    "GPTQ in groups of 32": (
        made(**checkpoint("gptq", GPTQ, group_size=32), group_size=32),
        (
            "the checkpoint is GPTQ (INT4, group size 32, desc_act false, symmetric), where engine kernels exist for "
            "group sizes 64 and 128: quantize the original (BF16 or FP16) model instead, for example with method "
            "INT4AWQ"
        ),
    ),
    "GPTQ without groups": (
        made(**checkpoint("gptq", GPTQ, group_size=0)),
        (
            "the checkpoint is GPTQ (INT4, no groups, desc_act false, symmetric), where engine kernels exist for group "
            "sizes 64 and 128: quantize the original (BF16 or FP16) model instead, for example with method INT4AWQ"
        ),
    ),
    "GPTQ of eight bits of Llama": (
        made(**checkpoint("gptq", Algorithm.W8A16_GPTQ, group_size=128)),
        (
            "the checkpoint is GPTQ (INT8, group size 128, desc_act false, symmetric), which no release converts with "
            "its 8 bits: quantize the original (BF16 or FP16) model instead, for example with method INT4AWQ"
        ),
    ),
    "compressed-tensors as an engine": (
        made(**checkpoint("compressed-tensors", integer=True, group_size=128, symmetric=False)),
        (
            "the checkpoint is compressed-tensors with integer weights (group size 128, asymmetric), which the "
            "TensorRT runtime cannot load: quantize the original (BF16 or FP16) model instead, for example with "
            "method FP8"
        ),
    ),
    "ModelOpt's Hugging Face checkpoint from somebody else as an engine": (
        made(**checkpoint("modelopt", Algorithm.FP8), layout=Layout(2)),
        (
            "the checkpoint is modelopt with FP8, which the TensorRT runtime cannot load: use runtime PyTorch, which "
            "loads it; or quantize the original (BF16 or FP16) model with a QuantizedModel of checkpoint.format "
            "TensorRTLLM, tensor 2 and pipeline 1"
        ),
    ),
    "ModelOpt's Hugging Face checkpoint of a QuantizedModel as an engine": (
        made(artifact=UNIFIED, algorithm=Algorithm.FP8),
        (
            "the artifact of QuantizedModel llama-fp8 is a quantized Hugging Face checkpoint, which "
            "convert_checkpoint.py does not read: set checkpoint.format TensorRTLLM in the QuantizedModel, or runtime "
            "PyTorch here"
        ),
    ),
    "the same over several ranks": (
        made(artifact=UNIFIED, algorithm=Algorithm.FP8, layout=Layout(4, 2)),
        (
            "the artifact of QuantizedModel llama-fp8 is a quantized Hugging Face checkpoint, which "
            "convert_checkpoint.py does not read: set checkpoint.format TensorRTLLM, tensor 4 and pipeline 2 in the "
            "QuantizedModel, or runtime PyTorch here"
        ),
    ),
    "a TensorRT-LLM checkpoint that is divided otherwise": (
        made(artifact=DIVIDED, algorithm=AWQ, layout=Layout(4)),
        (
            "the artifact of QuantizedModel llama-awq is divided for TP 2, PP 1, and the engine needs TP 4, PP "
            "1: set parallelism.tensor 2 and pipeline 1 here, or checkpoint.tensor 4 and pipeline 1 in the "
            "QuantizedModel"
        ),
    ),
    "a TensorRT-LLM checkpoint that is to be converted": (
        made(artifact=DIVIDED, algorithm=AWQ, layout=Layout(2), convert=Convert()),
        (
            "the artifact of QuantizedModel llama-awq is a TensorRT-LLM checkpoint already (TP 2, PP 1), and convert "
            "is set: leave convert out"
        ),
    ),
    "a TensorRT-LLM checkpoint in PyTorch": (
        ask(artifact=DIVIDED, algorithm=AWQ, layout=Layout(2)),
        (
            "the artifact of QuantizedModel llama-awq is a TensorRT-LLM checkpoint (TP 2, PP 1), which only runtime "
            "TensorRT reads: set checkpoint.format HuggingFace in the QuantizedModel, or runtime TensorRT here"
        ),
    ),
    "a checkpoint that would be quantized again": (
        made(**checkpoint("gptq", GPTQ, group_size=128), convert=Convert(weight_only=WeightOnly.INT8)),
        (
            "the checkpoint is GPTQ (INT4, group size 128, desc_act false, symmetric) already, and convert.weightOnly "
            "would quantize it again: leave convert.weightOnly out, or use the original (BF16 or FP16) model"
        ),
    ),
    "another KV cache than the checkpoint's": (
        ask(**checkpoint("modelopt", Algorithm.FP8, kv_cache="FP8"), kv_cache=KvFormat.INT8),
        "the checkpoint's KV cache is FP8, and the spec sets INT8: use FP8, or leave the KV cache's format out",
    ),
}
_ALGORITHMS: dict[str, tuple[EngineQuestion, str]] = {
    "a QuantizedModel of INT4 weights in PyTorch": (
        ask(artifact=UNIFIED, algorithm=Algorithm.W4A16),
        (
            "W4A16 is not in the PyTorch runtime: use runtime TensorRT, or one of NO_QUANT, W4A16_AWQ, W4A8_AWQ, FP8, "
            "FP8_PER_CHANNEL_PER_TOKEN, FP8_BLOCK_SCALES, W4A16_MXFP4, MIXED_PRECISION"
        ),
    ),
    "a QuantizedModel of SmoothQuant in PyTorch": (
        ask("Llama-2-13B", artifact=UNIFIED, algorithm=Algorithm.SMOOTH_QUANT),
        (
            "W8A8_SQ_PER_CHANNEL is not in the PyTorch runtime: use runtime TensorRT, or one of NO_QUANT, W4A16_AWQ, "
            "W4A8_AWQ, FP8, FP8_PER_CHANNEL_PER_TOKEN, FP8_BLOCK_SCALES, "
            "W4A16_MXFP4, MIXED_PRECISION"
        ),
    ),
}
_LIMITS: dict[str, tuple[EngineQuestion, str]] = {
    "a server of more requests than the engine is built for": (
        made(serving=_serving(max_batch_size=64)),
        (
            "serving.maxBatchSize 64 exceeds the 8 that the engine is built for: use 8 or less, or set "
            "limits.maxBatchSize 64, which builds another engine"
        ),
    ),
    "a server of longer sequences than the engine was built for": (
        made(stamp=replace(STAMP, limits=BUILT), serving=_serving(max_sequence_length=4096)),
        (
            "serving.maxSequenceLength 4096 exceeds the 2048 that the engine was built for: use 2048 or less, or set "
            "limits.maxSequenceLength 4096, which builds another engine"
        ),
    ),
    "a server of more tokens than the engine was built for": (
        made(stamp=replace(STAMP, limits=BUILT), serving=_serving(max_tokens=8192)),
        (
            "serving.maxTokens 8192 exceeds the 4096 that the engine was built for: use 4096 or less, or set "
            "limits.maxTokens 8192, which builds another engine"
        ),
    ),
    "a server of wider beams than the engine was built for": (
        made(stamp=replace(STAMP, limits=BUILT), serving=_serving(max_beam_width=4)),
        (
            "serving.maxBeamWidth 4 exceeds the 2 that the engine was built for: use 2 or less, or set "
            "limits.maxBeamWidth 4, which builds another engine"
        ),
    ),
}
QKV = ("attn_q", "attn_k", "attn_v")
_PODS: dict[str, tuple[EngineQuestion, str]] = {
    "a claim of one node for pods on two": (
        ask("Llama-3-70B", layout=Layout(8, 2), pods=2, access_mode="ReadWriteOnce"),
        (
            "the claim is ReadWriteOnce, and TP 8, PP 2 takes 2 pods on 2 nodes that all mount it: use a claim of "
            "accessMode ReadWriteMany, or a layout that fits one node"
        ),
    ),
}
_FEATURES: dict[str, tuple[EngineQuestion, str]] = {
    "adapters for an engine without": (
        made(serving=_serving(lora=LoraServing())),
        (
            "serving.lora needs an engine that was built for adapters, and build.lora is not set: set build.lora, or "
            "use runtime PyTorch"
        ),
    ),
    "an engine for adapters of nobody knows which modules": (
        made(build=Build(lora=LoraBuild())),
        (
            "build.lora names neither the modules that adapters change nor an adapter to read them from: set "
            "build.lora.targetModules, such as [attn_q, attn_k, attn_v], or build.lora.directories"
        ),
    ),
    "adapters of a higher rank than the engine's": (
        made(
            serving=_serving(lora=LoraServing(max_rank=64)),
            build=Build(lora=LoraBuild(max_rank=16, target_modules=QKV)),
        ),
        "serving.lora.maxRank 64 exceeds the engine's 16: use 16 or less, or build with a larger build.lora.maxRank",
    ),
}
_EXTRA: dict[str, tuple[EngineQuestion, str]] = {
    "a plugin that trtllm-build does not have": (
        made(build=Build(plugins={"attention": PluginType.AUTO})),
        (
            "build.plugins.attention needs --attention_plugin, which trtllm-build 1.2.1 does not have: did you mean "
            "--gpt_attention_plugin or --bert_attention_plugin?"
        ),
    ),
    "a type that a plugin does not have": (
        made(build=Build(plugins={"gemm_swiglu": PluginType.FLOAT16})),
        "build.plugins.gemm_swiglu: trtllm-build 1.2.1 takes no float16 for --gemm_swiglu_plugin: use fp8 or disable",
    ),
    "SmoothQuant of a family whose script has none": (
        made(model="Phi-3-mini", convert=Convert(smooth_quant=SmoothQuant()), algorithm=Algorithm.SMOOTH_QUANT),
        (
            "convert.smoothQuant.alpha needs --smoothquant, which convert_checkpoint.py of phi 1.2.1 does not have: "
            "leave convert.smoothQuant.alpha out"
        ),
    ),
    "a parser of tools in a version without": (
        ask(image=image_info("nvcr.io/nvidia/tensorrt-llm/release:1.0.0"), serving=_serving(tool_parser="qwen3")),
        "serving.toolParser needs --tool_parser, which trtllm-serve 1.0.0 does not have: leave serving.toolParser out",
    ),
    "a flag that trtllm-build had before": (
        made(build=Build(extra_args=("--max_output_len=128",))),
        (
            "build.extraArgs: trtllm-build 1.2.1 has no flag --max_output_len: set limits.maxSequenceLength, which "
            "counts prompt and answer"
        ),
    ),
    "an argument of a field": (
        made(build=Build(extra_args=("--max_batch_size", "8"))),
        "build.extraArgs: --max_batch_size is set by spec.limits.maxBatchSize: set spec.limits.maxBatchSize instead",
    ),
    "an option of the file that the operator sets": (
        ask(serving=_serving(options={"backend": "pytorch"})),
        "serving.options: backend is set by spec.runtime: set spec.runtime instead",
    ),
}
_RULES = {
    "ImageMismatch": _IMAGES,
    "CheckpointNotSupported": _CHECKPOINTS,
    "QuantizationNotSupported": _ALGORITHMS,
    "ServingExceedsEngine": _LIMITS,
    "PodUnsuitable": _PODS,
    "OptionsConflict": _FEATURES,
    "InvalidOptions": _EXTRA,
}
REFUSED_SOURCES: dict[str, tuple[EngineQuestion, str, str]] = {
    name: (question, rule, sentence) for rule, cases in _RULES.items() for name, (question, sentence) in cases.items()
}
"""Question, rule and sentence, by name."""

PASSING_SOURCES: dict[str, EngineQuestion] = {
    "an image whose version is said beside it": made(image=image_info("registry.example/llm:stable", "1.2.1")),
    "an image that is called like another's, its version said": ask(
        image=image_info("registry.example/vllm/trt:stable", "1.2.1")
    ),
    "an image named by its digest, with its version": ask(image=image_info("registry.example/llm@sha256:ab", "1.2.1")),
    "a mirror whose registry is named after something else": ask(image=image_info("vllm.example:5000/llm:1.2.1")),
    "Triton's image with TensorRT-LLM, its version said": ask(
        image=image_info("nvcr.io/nvidia/tritonserver:25.08-trtllm-python-py3", "1.0.0")
    ),
    "asymmetric AutoAWQ of Qwen2 as an engine": made(
        model="Qwen2-7B", **checkpoint("awq", AWQ, group_size=128, symmetric=False)
    ),
    "ModelOpt's Hugging Face checkpoint of a QuantizedModel in PyTorch": ask(artifact=UNIFIED, algorithm=Algorithm.FP8),
    "a TensorRT-LLM checkpoint with its own parallelism": made(artifact=DIVIDED, algorithm=AWQ, layout=Layout(2)),
    "an unquantized artifact as an engine": made(artifact=ArtifactFacts(quantized=False, engine_format=False)),
    "a server of less than the engine is built for": made(
        serving=_serving(max_batch_size=8, max_tokens=4096, max_sequence_length=2048, max_beam_width=1),
        limits=limits(max_num_tokens=4096),
    ),
    "a server of as much as the engine was built for": made(
        stamp=replace(STAMP, limits=BUILT),
        serving=_serving(max_batch_size=16, max_tokens=4096, max_sequence_length=2048, max_beam_width=2),
    ),
    "a PyTorch server, which has no engine to exceed": ask(serving=_serving(max_batch_size=4096)),
    "a claim of one node for one pod": ask(layout=Layout(8), pods=1, access_mode="ReadWriteOnce"),
    "a claim of many nodes for pods on two": ask(
        "Llama-3-70B", layout=Layout(8, 2), pods=2, access_mode="ReadWriteMany"
    ),
    "adapters of a lower rank than the engine's": made(
        serving=_serving(lora=LoraServing(max_rank=8)), build=Build(lora=LoraBuild(max_rank=16, target_modules=QKV))
    ),
    "adapters of a PyTorch server": ask(serving=_serving(lora=LoraServing())),
    "arguments that no field has": made(
        build=Build(extra_args=("--log_level=verbose", "--enable_debug_output")),
        convert=Convert(extra_args=("--calib_max_seq_length=256",)),
        serving=_serving(extra_args=["--log_level", "debug"], options={"iter_stats_max_iterations": 100}),
        image=ENGINE_IMAGE,
    ),
}
"""Of the same rules."""
