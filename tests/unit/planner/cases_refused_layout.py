"""Questions that are refused for image, model, checkpoint, GPU or layout."""

from __future__ import annotations

from engine_questions import (
    AWQ,
    GPTQ,
    checkpoint,
    limits,
    made,
)
from public_models import A10, A100, B200, L4, NEW_IMAGE, T4, ask

from trtllm_api.facts import CheckpointFacts, Details
from trtllm_planner.question import (
    EngineQuestion,
)
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm

REFUSED_LAYOUT: dict[str, tuple[EngineQuestion, str, str]] = {
    "an engine from an image without the backend": (
        made(image=NEW_IMAGE),
        "ImageMismatch",
        (
            "image nvcr.io/nvidia/tensorrt-llm/release:1.3.0 (TensorRT-LLM 1.3.0) has no TensorRT engine "
            "backend: 1.3.0rc20 "
            "was the last with it: use an image <= 1.2.x, or runtime PyTorch"
        ),
    ),
    "Gemma 2 in PyTorch": (
        ask("Gemma-2-9B"),
        "ArchitectureNotSupported",
        (
            "architecture Gemma2ForCausalLM is none of the 58 that the PyTorch runtime is known to load: "
            "use runtime TensorRT with an "
            "image <= 1.3.0rc20"
        ),
    ),
    "DeepSeek-V3 as an engine": (
        made(model="DeepSeek-V3", layout=Layout(8, 2)),
        "ArchitectureNotSupported",
        (
            "architecture DeepseekV3ForCausalLM is none of the 62 that the TensorRT runtime is known to load: "
            "use runtime PyTorch"
        ),
    ),
    "an unknown architecture without code of its own, though code is trusted": (
        ask(facts=ask().facts.model_copy(update={"architecture": "OwnForCausalLM"}), trust_remote_code=True),
        "ArchitectureNotSupported",
        (
            "architecture OwnForCausalLM is none of the 58 that the PyTorch runtime is known to load: use a model of a "
            "known family"
        ),
    ),
    "custom code": (
        ask(facts=ask().facts.model_copy(update={"custom_code": True, "model_type": "own"})),
        "CustomCodeNotTrusted",
        (
            "the checkpoint of LlamaForCausalLM runs its own Python code (auto_map): transformers has no model type "
            "own: read that code, then set trustRemoteCode: true; or use a checkpoint that needs none"
        ),
    ),
    "an unknown rotary scaling": (
        ask(details=Details(rope_type="spiral")),
        "RopeScalingNotSupported",
        (
            "rope_scaling of type spiral is not implemented: known types: default, dynamic, linear, llama3, "
            "longrope, mrope, "
            "none, su, yarn"
        ),
    ),
    "AutoAWQ in PyTorch": (
        ask("Llama-2-13B", **checkpoint("awq", AWQ, group_size=128, symmetric=False)),
        "CheckpointNotSupported",
        (
            "the checkpoint is AutoAWQ (INT4, group size 128, asymmetric), which the PyTorch runtime cannot load: "
            "quantize the original (BF16 or FP16) model instead, for example with method INT4AWQ; or use runtime "
            "TensorRT with TensorRT-LLM 0.20 to 1.3.0rc20, which converts it (group size 64 or 128, desc_act false, "
            "symmetric or not)"
        ),
    ),
    "bitsandbytes": (
        ask(**checkpoint("bitsandbytes")),
        "CheckpointNotSupported",
        (
            "the checkpoint is bitsandbytes, which the PyTorch runtime cannot load: quantize the original (BF16 "
            "or FP16) "
            "model instead, for example with method FP8"
        ),
    ),
    "GPTQ with reordered columns": (
        made(**checkpoint("gptq", GPTQ, group_size=128, act_order=True)),
        "CheckpointNotSupported",
        (
            "the checkpoint is GPTQ (INT4, group size 128, desc_act true, symmetric), whose reordered columns "
            "(desc_act: true) no engine kernel reads: quantize the original (BF16 or FP16) model instead, for example "
            "with method INT4AWQ"
        ),
    ),
    "AutoAWQ of Phi-3": (
        made(model="Phi-3-mini", **checkpoint("awq", AWQ)),
        "CheckpointNotSupported",
        (
            "the checkpoint is AutoAWQ (INT4, symmetric) of Phi3ForCausalLM, where only the Llama and Qwen2 families "
            "are converted: quantize the original (BF16 or FP16) model instead, for example with method INT4AWQ"
        ),
    ),
    "compressed-tensors with integers": (
        ask(**checkpoint("compressed-tensors", integer=True)),
        "CheckpointNotSupported",
        (
            "the checkpoint is compressed-tensors with integer weights (symmetric), which would be read as FP8: "
            "quantize the original (BF16 or FP16) model instead, for example with method FP8"
        ),
    ),
    "a checkpoint of another format than asked for": (
        ask(
            details=Details(checkpoint=CheckpointFacts(method="modelopt", algorithm=Algorithm.FP8)),
            algorithm=Algorithm.NVFP4,
            gpu=B200,
        ),
        "CheckpointNotSupported",
        (
            "the checkpoint is FP8 already, and the spec sets NVFP4: use FP8, or quantize the original (BF16 "
            "or FP16) model"
        ),
    ),
    "FP8 on Ampere": (
        ask(algorithm=Algorithm.FP8, gpu=A100),
        "GpuNotSupported",
        (
            "FP8 needs SM89, SM90, SM100, SM103, SM120, SM121; NVIDIA-A100-SXM4-80GB is SM80: usable here: NO_QUANT, "
            "W4A16_AWQ, MIXED_PRECISION"
        ),
    ),
    "FP8 by rows on Ada": (
        ask(algorithm=Algorithm.FP8_ROWWISE, gpu=L4),
        "GpuNotSupported",
        (
            "FP8_PER_CHANNEL_PER_TOKEN needs SM90; NVIDIA-L4 is SM89: usable here: NO_QUANT, W4A16_AWQ, W4A8_AWQ, FP8, "
            "MIXED_PRECISION"
        ),
    ),
    "SmoothQuant on Blackwell": (
        made(model="Llama-2-13B", algorithm=Algorithm.SMOOTH_QUANT, gpu=B200),
        "GpuNotSupported",
        (
            "W8A8_SQ_PER_CHANNEL needs SM80, SM86, SM89, SM90; NVIDIA-B200 is SM100: usable here: NO_QUANT, W4A16_AWQ, "
            "W4A8_AWQ, W4A16_GPTQ, FP8, FP8_BLOCK_SCALES, NVFP4, MIXED_PRECISION"
        ),
    ),
    "INT8 weights in PyTorch": (
        ask(algorithm=Algorithm.W8A16),
        "QuantizationNotSupported",
        (
            "W8A16 is not in the PyTorch runtime: use runtime TensorRT, or one of NO_QUANT, W4A16_AWQ, W4A8_AWQ, FP8, "
            "FP8_PER_CHANNEL_PER_TOKEN, FP8_BLOCK_SCALES, W4A16_MXFP4, MIXED_PRECISION"
        ),
    ),
    "a GPU of before Ampere": (
        ask("Qwen2.5-0.5B", gpu=T4),
        "GpuNotSupported",
        (
            "Tesla-T4 is SM75, which has no kernels (SM80, SM86, SM89, SM90, SM100, SM103, SM120, SM121): use a GPU of "
            "SM80 to SM121"
        ),
    ),
    "28 heads over 8 ranks": (
        ask("Qwen2-7B", layout=Layout(8)),
        "HeadsNotDivisible",
        "28 heads do not divide by TP 8: valid TP: 1, 2, 4",
    ),
    "14 heads over 4 ranks": (
        ask("Qwen2.5-0.5B", layout=Layout(4)),
        "HeadsNotDivisible",
        "14 heads do not divide by TP 4: valid TP: 1, 2",
    ),
    "heads over tensor and context": (
        ask("SmolLM2-135M", layout=Layout(3, 1, 2)),
        "HeadsNotDivisible",
        "9 heads do not divide by TP 3 x CP 2 = 6: valid TP: none",
    ),
    "key heads that do not divide": (
        ask("Phi-3-medium", layout=Layout(8)),
        "HeadsNotDivisible",
        "10 key/value heads and TP 8: neither divides the other: valid TP: 1, 2, 5",
    ),
    "SmoothQuant with more ranks than key heads": (
        made(model="Qwen2-7B", algorithm=Algorithm.SMOOTH_QUANT, layout=Layout(28), gpus_per_node=None),
        "HeadsNotDivisible",
        "SmoothQuant cannot copy the scales of 4 key/value heads to TP 28 ranks: valid TP: 1, 2, 4",
    ),
    "more stages than layers": (
        ask("Qwen2.5-0.5B", layout=Layout(1, 25), gpus_per_node=None),
        "PipelineTooLong",
        "PP 25 exceeds the model's 24 layers: use PP 24 or less",
    ),
    "Qwen2-72B AWQ over 8 ranks": (
        ask("Qwen2-72B", algorithm=AWQ, layout=Layout(8)),
        "ShardNotAligned",
        (
            "W4A16_AWQ at TP 8: down_proj K=29568/8=3696 is not a multiple of 128 (group 128), nor are 2 more layers "
            "aligned: valid TP: 1; with group size 64: 1, 2"
        ),
    ),
    "Llama-2-13B AWQ over 8 ranks": (
        ask("Llama-2-13B", algorithm=AWQ, layout=Layout(8)),
        "ShardNotAligned",
        (
            "W4A16_AWQ at TP 8: down_proj K=13824/8=1728 is not a multiple of 128 (group 128): valid TP: 1, 2, 4; "
            "with group size 64: 1, 2, 4, 8"
        ),
    ),
    "groups that the model does not have": (
        ask("SmolLM2-135M", algorithm=AWQ),
        "ShardNotAligned",
        (
            "W4A16_AWQ at TP 1: gate_proj K=576 is not a multiple of 128 (group 128), nor are 5 more layers "
            "aligned: with group "
            "size 64: 1, 3"
        ),
    ),
    "DeepSeek-V3's blocks over 32 ranks": (
        ask("DeepSeek-V3", layout=Layout(32, 1, 1, 1, 32), gpus_per_node=None),
        "ShardNotAligned",
        (
            "FP8_BLOCK_SCALES at TP 32, EP 32: down_proj K=18432/32=576 is not a multiple of 128 (blocks of 128 "
            "x 128), nor "
            "are 5 more layers aligned: valid TP: 1, 2, 4, 8, 16"
        ),
    ),
    "experts that expert parallelism does not divide": (
        ask("Mixtral-8x7B", layout=Layout(16, 1, 1, 1, 16), gpus_per_node=None),
        "ExpertsNotDivisible",
        "8 experts do not divide by EP 16: MoE TP x EP that work: 16 x 1, 8 x 2, 4 x 4, 2 x 8",
    ),
    "expert parallelism that is not the tensor parallelism": (
        ask("Mixtral-8x7B", layout=Layout(8, 1, 1, 4, 4)),
        "ExpertParallelismInvalid",
        "MoE TP 4 x EP 4 = 16 is not TP 8: MoE TP x EP that work: 8 x 1, 4 x 2, 2 x 4, 1 x 8",
    ),
    "context parallelism of a mixture": (
        ask("Mixtral-8x7B", layout=Layout(2, 1, 2, 1, 2)),
        "ExpertParallelismInvalid",
        "CP 2 cannot be combined with MoE TP 1 and EP 2: leave CP at 1, or MoE TP and EP out",
    ),
    "experts of a dense model": (
        ask(layout=Layout(2, 1, 1, 1, 2)),
        "ExpertParallelismInvalid",
        "expert parallelism (MoE TP 1, EP 2) is set, but LlamaForCausalLM has no experts: leave it out",
    ),
    "too few pods": (
        ask("Llama-3-70B", layout=Layout(8, 2), pods=1),
        "WorldSizeMismatch",
        "TP 8, PP 2 has 16 ranks, but 1 pods x 8 GPUs are 8: use 2 pods, or a layout of 8 ranks",
    ),
    "70B in 16 bits on one H100": (
        ask("Llama-3-70B"),
        "GpuMemoryTooSmall",
        (
            "TP 1 on NVIDIA-H100-80GB-HBM3 (79.6 GiB per GPU): weights 131.4 GiB + activations 2.5 GiB + runtime 1.5 "
            "GiB exceed it by 55.8 GiB: try TP 2"
        ),
    ),
    "13B in 16 bits on one card of 24 GB": (
        ask("Llama-2-13B", gpu=A10),
        "GpuMemoryTooSmall",
        (
            "TP 1 on NVIDIA-A10 (22.5 GiB per GPU): weights 24.2 GiB + activations 1.5 GiB + runtime 1.5 GiB "
            "exceed it by 4.7 "
            "GiB: try TP 2"
        ),
    ),
    "a cache for twenty long sequences": (
        ask("Llama-2-13B", limits=limits(sequences=20)),
        "GpuMemoryTooSmall",
        (
            "TP 1 on NVIDIA-H100-80GB-HBM3 (79.6 GiB per GPU): weights 24.2 GiB + activations 1.5 GiB + "
            "runtime 1.5 GiB leave 47.2 GiB = 61854 KV tokens; maxSequenceLength 4096 x 20 sequences needs "
            "81920: try TP 2 | FP8 KV cache | maxSequenceLength 3072 or less"
        ),
    ),
}
