"""Abilities that a GPU's generation or its kernels lack: B1 to B6, B10 and B11 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.model import Certainty

_LIKELY: Final = Certainty.LIKELY
_OTHER_GPU: Final = "Use a GPU of a newer generation, or an algorithm that this one runs: `trtllm plan` lists them."

GPU: Final = (
    Entry(
        "B1",
        Reason.GPU_NOT_SUPPORTED,
        "FP8 on a GPU without it",
        (
            Pattern("networks with fp8 precision require", r"Networks with FP8 precision require"),
            Pattern(
                "fp8",
                r"FP8\b.{0,60}(?:requires?|needs?|only (?:supported|available) "
                r"(?:on|for))\b.{0,50}(?:SM ?\W?\d+|compute capability|Ada"
                r"|Hopper|8\.9|hardware)",
            ),
            Pattern(
                "fp8",
                r"FP8\b.{0,40}(?:is )?not supported (?:on|by|for).{0,30}"
                r"(?:device|GPU|SM|arch|hardware|platform|compute)",
            ),
        ),
        "FP8 needs a GPU of compute capability 8.9 or newer.",
        _OTHER_GPU,
    ),
    Entry(
        "B2",
        Reason.GPU_NOT_SUPPORTED,
        "FP8 attention on an older GPU",
        (
            Pattern("fp8 fmha cannot be enabled"),
            Pattern("fp8 fmha", r"FP8 (?:context )?FMHA.{0,30}cannot be (?:enabled|used)"),
            Pattern("fp8 fmha", r"FP8 (?:context )?FMHA.{0,40}(?:only|requires?|not supported)"),
        ),
        "FP8 attention needs Ada, Hopper or Blackwell.",
        "Disable use_fp8_context_fmha, or use such a GPU.",
    ),
    Entry(
        "B3",
        Reason.GPU_NOT_SUPPORTED,
        "row-wise FP8 on Ada",
        (
            Pattern(
                "arch unsupported for cutlass", r"Arch unsupported for CUTLASS (?!FP4|NVFP4)(?P<kernel>[\w ]+?) ?GEMM"
            ),
        ),
        "This GPU has no {kernel} GEMM kernel (row-wise FP8 needs Hopper).",
        _OTHER_GPU,
    ),
    Entry(
        "B4",
        Reason.GPU_NOT_SUPPORTED,
        "W4A8 before Ada",
        (
            Pattern("kernel is unsupported on pre-", r"(?P<kernel>W4A\S+) kernel is unsupported on pre-(?P<gpu>\w+)"),
            Pattern("unsupported on pre-", r"(?<!\w)(?P<kernel>\w+) .{0,30}unsupported on pre-(?P<gpu>\w+)"),
        ),
        "{kernel} needs {gpu} or newer.",
        _OTHER_GPU,
    ),
    Entry(
        "B5",
        Reason.GPU_NOT_SUPPORTED,
        "integer methods on Blackwell",
        (
            Pattern(
                "not supported on sm",
                r"(?<!\w)(?P<what>\w[\w/. -]{1,60}?) (?:is |are )?not supported on SM ?(?P<sm>[<>=]{0,2} ?\d{1,4})",
            ),
        ),
        "{what} is not supported on SM {sm}.",
        "Use FP8 or NVFP4 on this GPU, or an older GPU for integer methods.",
    ),
    Entry(
        "B6",
        Reason.SHARD_NOT_ALIGNED,
        "no kernel for this group size",
        (
            Pattern("groupwise gemm tactic", r"No valid (?:weight only )?groupwise GEMM tactic"),
            Pattern("no valid", r"No valid [\w -]*tactic"),
            *(
                Pattern(
                    name,
                    r"\bgroup[_ ]?size\W{0,3}(?:\d+ )?(?:must be|should be|has to be|can only be|only) \D{0,20}\d+",
                )
                for name in ("groupsize", "group_size", "group size")
            ),
        ),
        "No GEMM kernel takes this group size on this GPU.",
        "Use a group size of 64 or 128 on SM 80 or newer.",
    ),
    Entry(
        "B6p",
        Reason.ENGINE_BUILD_FAILED,
        "GEMM kernels could not be tried out",
        (
            Pattern("gemm tactics profiling", r"workspace for GEMM tactics profiling"),
            Pattern("gemmpluginprofiler", r"Assertion failed: (?!No valid).*gemmPluginProfiler"),
            Pattern("optimal gemm config", r"Assertion failed: .*not found.{0,12} optimal GEMM config"),
        ),
        "no GEMM kernel of this type ran on this GPU when the build tried them out.",
        "Build on a GPU that runs this precision and has free memory, or choose another quantization or image.",
        tier=Tier.VAGUE,
        certainty=_LIKELY,
    ),
    Entry(
        "B10",
        Reason.ENGINE_BUILD_FAILED,
        "head size without kernel",
        (
            Pattern("size per head is not a multiple of", r"Size per head is not a multiple of (?P<of>\d+)?"),
            *(
                Pattern(name, r"head[_ ](?:size|dim)\W{0,5}(?P<size>\d+)\W{0,3} has no\b.{0,20}kernel")
                for name in ("head size", "head_size", "head dim", "head_dim")
            ),
            Pattern("unsupported head size", r"unsupported head[_ ]size\D{0,5}(?P<size>\d+)?"),
            Pattern(
                "head size",
                r"head[_ ](?:size|dim)\W{0,5}(?P<size>\d+)\W{0,3} (?:is |are )?(?:not supported|unsupported)",
            ),
            Pattern(
                "head_size",
                r"head[_ ](?:size|dim)\W{0,5}(?P<size>\d+)\W{0,3} (?:is |are )?(?:not supported|unsupported)",
            ),
            Pattern(
                "head dim",
                r"head[_ ](?:size|dim)\W{0,5}(?P<size>\d+)\W{0,3} (?:is |are )?(?:not supported|unsupported)",
            ),
            Pattern(
                "head_dim",
                r"head[_ ](?:size|dim)\W{0,5}(?P<size>\d+)\W{0,3} (?:is |are )?(?:not supported|unsupported)",
            ),
        ),
        "The attention kernels do not take this head size[[ of {size}]][[ (not a multiple of {of})]].",
        "Use the PyTorch runtime, or disable the attention plugin for this model.",
    ),
    Entry(
        "B11",
        Reason.GPU_NOT_SUPPORTED,
        "fused attention on Turing or older",
        (Pattern("fmharunner", r"Unsupported arch.*fmhaRunner|fmhaRunner.*Unsupported arch"),),
        "Fused context attention is not there for this GPU.",
        "Disable context_fmha, or use SM 80 or newer.",
    ),
    Entry(
        "B11g",
        Reason.GPU_NOT_SUPPORTED,
        "a kernel that this GPU's generation does not have",
        (
            Pattern(
                "unsupported arch",
                r"(?=.*(?:\bm?SM_?\d*\b|\.cpp|\.cuh?\b|\.h:|kernel|GPU|CUTLASS|compute|device))"
                r"Unsupported arch(?:itecture)?\b(?!\W{0,4}\w+(?:For[A-Z]\w+|Model|LM)\b)",
            ),
            *(
                Pattern(
                    name,
                    r"(?:\bonly\b.{0,30}\b(?:supports?|supported|available|works?|runs?|implemented|enabled)"
                    r"|\bsupports? only"
                    r"|requires?|needs?|except on|\bnot (?:be )?(?:supported|available|enabled|implemented))\b.{0,50}?"
                    rf"(?P<gpu>(?:pre-)?{name})(?![\w/])",
                )
                for name in ("hopper", "blackwell", "ampere", "ada lovelace", "turing")
            ),
            *(
                Pattern(f"{word} {name}", rf"{word} {name}\b.{{0,24}}?(?P<gpu>\d{{2,3}})?")
                for word in ("unsupported", "unknown", "invalid")
                for name in ("sm", "compute capability", "cuda arch")
            ),
            Pattern(
                "compute capability",
                r"(?:requires?|needs?|at least|minimum|not support\w*|unsupported|less than"
                r"|\bonly\b.{0,30}support\w*)\b"
                r".{0,60}compute capability(?:.{0,30}?(?P<gpu>\d+\.\d))?",
            ),
            Pattern(
                "compute capability", r"compute capability\b.{0,60}(?:not supported|unsupported|is required|too low)"
            ),
            Pattern(
                "does not support",
                r"(?:platform|device|GPU|hardware|arch\w*|SM ?\d+)\b.{0,30}does not support\b.{0,30}?"
                r"(?P<gpu>(?:NV|MX)?FP[48]\w*|INT[48]|W\dA\d\w*|bfloat16|bf16|cutlass|flash\w*)",
            ),
            Pattern(
                "not supported",
                r"(?P<gpu>(?:NV|MX)?(?:FP|INT|BF)\d\w{0,20}|W\dA\d\w{0,20})\b.{0,20}not supported (?:in|on|for|by) "
                r"(?:(?:this|the current|your) )?(?:CUDA )?(?:arch\w*|GPU|device|hardware|SM ?\d)",
            ),
            Pattern("not supported", r"\bSM ?_?(?P<gpu>\d{2,3})\b.{0,12}is not supported (?:by|in) "),
            Pattern("hardware with", r"requires? hardware with (?P<gpu>\w+) support"),
            Pattern("gpus do not support", r"pre SM ?\d+ GPUs do not support (?P<gpu>\w+)"),
            Pattern("out of resource: shared memory"),
        ),
        "A kernel is not there for this GPU's generation[[ ({gpu})]].",
        "Use a GPU that has it, or an algorithm that this one runs: `trtllm plan` lists them.",
        tier=Tier.VAGUE,
    ),
)
