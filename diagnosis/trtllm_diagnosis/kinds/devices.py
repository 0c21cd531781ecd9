"""Kinds of failure of memory, GPUs, sizes that do not divide and calibration; asked before those around them."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.kinds.kind import REFUSES, Hint

DEVICES: Final = (
    Hint(
        Reason.SHARED_MEMORY_TOO_SMALL,
        "shared memory between the ranks",
        (r"\bdev/shm|shared memory (?:segment|object)|\bshm_open",),
        "Mount a memory-backed emptyDir at /dev/shm; Kubernetes gives 64 MB by default.",
    ),
    Hint(
        Reason.HOST_OUT_OF_MEMORY,
        "the host's memory",
        (
            r"\b(?:host|cpu|ram|cgroup|pinned)\b",
            (
                r"out of (?:host |cpu |system )?memory|\blimit\b.{0,30}\bexceed|memory.{0,30}(?:exhaust"
                r"|exceed|insufficient|limit)"
                r"|(?:insufficient"
                r"|not enough)\b.{0,30}\bmemory"
            ),
        ),
        "Raise podTemplate.resources.limits.memory.",
    ),
    Hint(
        Reason.GPU_OUT_OF_MEMORY,
        "GPU memory",
        (
            (
                r"out of memory|\boom\b|memory on device.{0,60}less than|gpu memory.{0,40}(?:exceed|less than)"
                r"|(?:insufficient|not enough|too little)\b.{0,30}\bmemory"
                r"|out of (?:gpu|device|video) memory|(?:not|n't) fit (?:in|on)\w*\b.{0,20}\bgpu"
                r"|allocat\w*\b.{0,60}\b(?:gpu|device) memory|offloaded to"
                r"|\b(?:and|device|tensors?) '?meta\b|\bmeta (?:device|tensor)"
            ),
        ),
        "Lower batch, tokens or sequence length, raise the parallelism, or quantize further.",
    ),
    Hint(
        Reason.KV_CACHE_TOO_SMALL,
        "the size of the KV cache",
        (
            r"\bkv[ _]?(?:cache|blocks?|pages?)",
            (
                r"\b(?:remain\w*|more|left|needs? \d|hold|room|fit|small|enough|insufficient|free|exhaust\w*"
                r"|large|capacity)\b"
            ),
        ),
        "Lower max_seq_len, or raise the KV cache's memory fraction.",
    ),
    Hint(
        Reason.DRIVER_TOO_OLD,
        "the node's driver",
        (
            r"\bdriver\b",
            r"too old|newer|older|version|insufficient|requires?|update|needs?|not support",
        ),
        "Update the driver, or use an older image.",
    ),
    Hint(
        Reason.NO_GPU,
        "a GPU that is not there",
        (
            (
                r"^(?!.*\brank\b).*(?:\bno (?:\w+ )?gpus?\b|at least (?:one|1) gpu|\bfound 0\b|no cuda"
                r"|cuda device\b.{0,20}\bnone"
                r"|cuda (?:is )?(?:not available|unavailable)|without a gpu|libcuda|nvml)"
            ),
        ),
        "Ask for nvidia.com/gpu in the pod, and check the device plugin of the node.",
    ),
    Hint(
        Reason.QUANTIZATION_NOT_SUPPORTED,
        "a quantization that this program does not have",
        (
            r"qformat|quant_algo|quant(?:ization)?[_ ](?:format|algo\w*|method|mode|type)",
            REFUSES,
        ),
        "Use one method of the documented list.",
    ),
    Hint(
        Reason.CHAT_TEMPLATE_MISSING,
        "the chat template",
        (r"chat[ _]template",),
        "Use the instruction-tuned model, pass a chat template, or call /v1/completions.",
    ),
    Hint(
        Reason.ROPE_SCALING_NOT_SUPPORTED,
        "the rotary embedding's scaling",
        (r"\b(?:rope|rotary|yarn)(?:\b|_)", r"scal|type|factor|theta"),
        "Use a newer image, and check rope_scaling in config.json.",
    ),
    Hint(
        Reason.EXPERTS_NOT_DIVISIBLE,
        "experts and expert parallelism",
        (r"experts?(?:\b|_)", r"divi[sd]|multiple|evenly|%|ep_size|expert parallel|distribut|\bsplit|\bshard|ranks\b"),
        "Use an expert parallelism that divides the experts.",
    ),
    Hint(
        Reason.HEADS_NOT_DIVISIBLE,
        "attention heads and tensor parallelism",
        (
            r"(?:\b|_)heads(?:\b|_)|attention head|head count|k/v",
            r"divi[sd]|multiple|evenly|%|\btp|_tp|tensor[ _]parallel|world|gpus|ranks?\b",
        ),
        "Use a tensor parallelism that divides the heads: `trtllm plan` names the valid ones.",
    ),
    Hint(
        Reason.SHARD_NOT_ALIGNED,
        "sizes that do not divide",
        (
            (
                r"divi[sd](?:ib|e\b)|multiple of|not aligned|alignment|byte[- ]aligned|(?:not|n't) (?:align|tile)"
                r"|(?:block|group)[_ ]?size\b.{0,40}(?:unsupport|not support|\bonly\b|must|expected"
                r"|\bgot\b)|\b(?:split|shard|partition)\w* evenly"
                r"|(?:cannot|can't|could not|not) (?:be )?(?:evenly )?(?:split|shard|divid|partition"
                r"|distribut)|\w % \w*(?:tp|world|group|block|size)"
                r"|% (?:self\.)?\w*(?:tp|world|group|block)"
            ),
        ),
        "Try a smaller tensor parallelism, or a group size that divides the weight.",
    ),
    Hint(
        Reason.ENGINE_INCOMPATIBLE,
        "an engine of another version, GPU or build",
        (
            r"\bengines?\b|\bplan\b",
            (
                r"deseriali|version|incompatib|mismatch|not the same|corrupt|truncat|damaged|magic|rebuil"
                r"|cannot be (?:read|loaded)|of compute capability"
                r"|(?:was|were|is|are) (?:\w+ )?(?:built|seriali[sz]ed|produced|created|generated|made)\b"
            ),
        ),
        "Build it again with the image and GPU that serve it.",
    ),
    Hint(
        Reason.GPU_NOT_SUPPORTED,
        "the GPU's generation",
        (
            (
                r"\bsm_?\d\d|\bsm (?:version|\d)|compute capab|cuda arch|\bgpu arch|hopper|ampere|blackwell|turing"
                r"|volta|\bada\b|cutlass|cubin|\bfmha\b|\b(?:nv|mx)?fp[48]\b"
            ),
            (
                rf"{REFUSES}|requires?\b|needs?\b|\bonly\b|no kernel|not found|missing|ha(?:s|ve) no"
                rf"|no cubin|\d\.\d < \d|(?:not|n't) (?:run|work|exist"
                rf"|compiled|available)"
            ),
        ),
        "Use a GPU that has it, or an algorithm that this one runs: `trtllm plan` lists them.",
    ),
    Hint(
        Reason.DATASET_UNUSABLE,
        "the calibration data",
        (
            (
                r"^(?!.*amax).*(?:data ?sets?\b|calib\w*[_ ](?:set|data|files?|text|split)"
                r"|\bcolumns?\b.{0,40}(?:text|article|prompt))"
            ),
        ),
        "Name its configuration and split, or mount a directory with a `train` split that has a `text` column.",
    ),
    Hint(
        Reason.CALIBRATION_FAILED,
        "ranges that calibration should have given",
        (
            (
                r"\bamax\b|_amax|calibrat(?:or|ed|ion)\b|activation statistics|calib_size|(?:activation|input"
                r"|weight) scales?\b"
            ),
            r"nan\b|inf\b|none\b|missing|not |no |negative|zero",
        ),
        "Use more and more varied calibration samples, and exclude the modules that stay without data.",
    ),
)
