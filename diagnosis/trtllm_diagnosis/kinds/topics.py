"""Topics that an error names and nothing else; hints.py uses them last, when no kind's words are all there."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.kinds.kind import Hint

TOPICS: Final = (
    Hint(
        Reason.GPU_OUT_OF_MEMORY,
        "GPU memory",
        (r"\b(?:gpu|device|video) memory\b|\bvram\b",),
        "Lower batch, tokens or sequence length, raise the parallelism, or quantize further.",
    ),
    Hint(
        Reason.INVALID_OPTIONS,
        "an option of the build or of the server",
        (
            (
                r"\breuse\b|\bdraft|\blora\b|\bspeculative|\beagle|\bmedusa|(?<!\w)--[a-z]\w+|\bflags?\b"
                r"|multiple_profiles|opt_num_tokens|gather_\w+_logits|(?:paged|fp8)_context_fmha"
            ),
        ),
        "Change the option that it names, in the build or in the serving configuration.",
    ),
    Hint(
        Reason.KV_CACHE_TOO_SMALL,
        "the KV cache",
        (r"\bkv[ _]?(?:cache|blocks?|pages?)\b",),
        "Lower max_seq_len, or raise the KV cache's memory fraction.",
    ),
    Hint(
        Reason.HEADS_NOT_DIVISIBLE,
        "the attention heads",
        (r"\battention heads?\b|\bnum_\w*heads\b|\b(?:kv|query) heads?\b|\bheads per rank\b|num_key_value_heads",),
        "Use a tensor parallelism that divides the heads: `trtllm plan` names the valid ones.",
    ),
    Hint(
        Reason.EXPERTS_NOT_DIVISIBLE,
        "experts and expert parallelism",
        (r"\bmoe_ep|\bep_size\b|\bexpert parallel",),
        "Use an expert parallelism that divides the experts.",
    ),
    Hint(
        Reason.SHARD_NOT_ALIGNED,
        "the size of a layer or of its groups",
        (r"\b(?:block|group)[_ ]?size\b|\b(?:in|out)_features\b|\bintermediate_size\b",),
        "Try a smaller tensor parallelism, or a group size that divides the weight.",
    ),
    Hint(
        Reason.TOO_FEW_GPUS,
        "the number of GPUs",
        (r"\b(?:tensor|pipeline) parallel\w*\b.{0,40}\bgpus\b|\bgpu of rank\b|\brank \d+\b.{0,30}\bgpu\b",),
        "Ask for as many GPUs as ranks in one pod, or lower the parallelism.",
    ),
    Hint(
        Reason.GPU_NOT_SUPPORTED,
        "the GPU's generation",
        (
            (
                r"\bsm_?\d\d|cubin|compute capab|\bfmha\b|hopper|ampere|blackwell|turing|\bada\b|\b(?:nv"
                r"|mx)?fp[48]\b|\bw4a8"
            ),
        ),
        "Use a GPU that has it, or an algorithm that this one runs: `trtllm plan` lists them.",
    ),
    Hint(
        Reason.DRIVER_TOO_OLD,
        "the node's driver",
        (r"\bnvidia driver\b|\bdriver \d",),
        "Update the driver, or use an older image.",
    ),
    Hint(
        Reason.ROPE_SCALING_NOT_SUPPORTED,
        "the rotary embedding",
        (r"\brope_\w+|\brotary",),
        "Use a newer image, and check rope_scaling in config.json.",
    ),
    Hint(
        Reason.CALIBRATION_FAILED,
        "the calibration",
        (r"\b_?amax\b|\bcalibrat",),
        "Use more and more varied calibration samples, and exclude the modules that stay without data.",
    ),
    Hint(
        Reason.SOURCE_ACCESS_DENIED,
        "the rights of the hub's account",
        (r"\b(?:access|read) token\b|\bhf_token\b|\btoken with\b|\bcredentials?\b|\blicen[cs]e\b",),
        "Give a Secret with a token that can read it, and accept the licence with that account.",
    ),
    Hint(
        Reason.ENGINE_INCOMPATIBLE,
        "an engine",
        (r"\b(?:the|this|an|cuda|tensorrt) engine\b|\bengine (?:file|plan)|\bplan file\b|\brank\d+\.engine\b",),
        "Build it again with the image and GPU that serve it.",
    ),
    Hint(
        Reason.WORLD_SIZE_MISMATCH,
        "the number of processes",
        (r"\bworld[ _]?size\b|\b(?:tp|pp|cp)_size\b|\b\d+ (?:ranks|processes)\b",),
        "Start tp x pp x cp processes, and convert for as many.",
    ),
    Hint(
        Reason.EXECUTOR_CRASHED,
        "the executor",
        (r"\bexecutor\b",),
        "Restart the pod; the first error before it is the cause.",
    ),
    Hint(
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "a model architecture",
        (r"\barchitectures?\b|\b[A-Z]\w+For(?:CausalLM|ConditionalGeneration)\b",),
        "Use a newer image, or a model of its table.",
    ),
    Hint(
        Reason.CHECKPOINT_MISMATCH,
        "the checkpoint's weights",
        (r"\btensors\b|\bstate_dict\b|\bcheckpoint\b|\.(?:weight|bias|scale)s?\b",),
        "Use the same version and options for convert, build and serve, or a newer image.",
    ),
)
"""Topics, in the order in which they are tried."""
