"""Failures of engine builds: B1 to B22 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.diagnosis.entry import Entry, Pattern, Seen, Tier
from trtllm_api.diagnosis.model import Certainty
from trtllm_api.diagnosis.reasons import DiagnosisReason as Reason

_REFUSES: Final = r"(?=.*(?:not |n't|cannot|exclus|conflict|unsupported|both|requires? |needs? |incompat|without))"
_LIKELY: Final = Certainty.LIKELY
_ASSERTED: Final = r"^\W*(?:\w+\W+)?AssertionError\b"
_OTHER_GPU: Final = "Use a GPU of a newer generation, or an algorithm that this one runs: `trtllm plan` lists them."

BUILD: Final = (
    Entry(
        "B1",
        Reason.GPU_UNSUPPORTED,
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
        Reason.GPU_UNSUPPORTED,
        "FP8 attention on an older GPU",
        (
            Pattern("fp8 fmha cannot be enabled"),
            Pattern("fp8 fmha", r"FP8 (?:context )?FMHA.{0,40}(?:only|requires?|not supported)"),
        ),
        "FP8 attention needs Ada, Hopper or Blackwell.",
        "Disable use_fp8_context_fmha, or use such a GPU.",
    ),
    Entry(
        "B3",
        Reason.GPU_UNSUPPORTED,
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
        Reason.GPU_UNSUPPORTED,
        "W4A8 before Ada",
        (
            Pattern("kernel is unsupported on pre-", r"(?P<kernel>W4A\S+) kernel is unsupported on pre-(?P<gpu>\w+)"),
            Pattern("unsupported on pre-", r"(?P<kernel>\w+) .{0,30}unsupported on pre-(?P<gpu>\w+)"),
        ),
        "{kernel} needs {gpu} or newer.",
        _OTHER_GPU,
    ),
    Entry(
        "B5",
        Reason.GPU_UNSUPPORTED,
        "integer methods on Blackwell",
        (
            Pattern(
                "not supported on sm",
                r"(?P<what>[\w][\w/. -]{1,60}?) (?:is |are )?not supported on SM ?(?P<sm>[<>=]* ?\d+)",
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
            Pattern("no valid", r"No valid [\w ]*(?:gemm )?tactic"),
        ),
        "No GEMM kernel takes this group size on this GPU.",
        "Use a group size of 64 or 128 on SM 80 or newer.",
    ),
    Entry(
        "B7",
        Reason.CHECKPOINT_MISMATCH,
        "shapes differ between checkpoint and configuration",
        (
            Pattern("original: (", r"Updated: \((?P<new>[^)]*)\), original: \((?P<old>[^)]*)\)"),
            Pattern("not the same shape as the original", r"not the same shape as the original"),
        ),
        "A weight's shape[[ ({new})]] differs from the one that the configuration promises[[ ({old})]].",
        "Convert again with the same group size and tensor parallelism that the build uses.",
    ),
    Entry(
        "B8",
        Reason.CHECKPOINT_MISMATCH,
        "names differ between checkpoint and network",
        (
            Pattern("provided tensor names are different from those expected"),
            Pattern(
                "required but not provided tensors", r"(?<!\w)Required but not provided tensors:? ?(?P<names>.{1,80})?"
            ),
        ),
        "The checkpoint's tensors are not those that the network expects[[ (missing {names})]].",
        "Convert with the same quantization options and the same TensorRT-LLM version as the build.",
    ),
    Entry(
        "B10",
        Reason.BUILD_FAILED,
        "head size without kernel",
        (
            Pattern("size per head is not a multiple of", r"Size per head is not a multiple of (?P<of>\d+)"),
            Pattern("unsupported head size", r"unsupported head[_ ]size\D{0,5}(?P<size>\d+)?"),
        ),
        "The attention kernels do not take this head size[[ of {size}]][[ (not a multiple of {of})]].",
        "Use the PyTorch runtime, or disable the attention plugin for this model.",
    ),
    Entry(
        "B11",
        Reason.GPU_UNSUPPORTED,
        "fused attention on Turing or older",
        (Pattern("fmharunner", r"Unsupported arch\w*.*fmhaRunner|fmhaRunner.*Unsupported arch"),),
        "Fused context attention is not there for this GPU.",
        "Disable context_fmha, or use SM 80 or newer.",
    ),
    Entry(
        "B13",
        Reason.BUILD_FAILED,
        "no implementation for a node",
        (
            Pattern(
                "could not find any implementation for node",
                r"Could not find any implementation for node (?P<node>\{?[^\s.\]]+)",
            ),
        ),
        "TensorRT found no kernel that fits into the memory left while building (node {node}).",
        "Lower max_batch_size, max_num_tokens or max_seq_len, or build on a GPU with more free memory.",
        certainty=_LIKELY,
    ),
    Entry(
        "B14",
        Reason.GPU_OUT_OF_MEMORY,
        "TensorRT ran out of GPU memory",
        (
            Pattern(
                "error code 2: outofmemory", r"Error Code 2: OutOfMemory(?: \(Requested size was (?P<asked>\d+ bytes))?"
            ),
            Pattern(
                "requested amount of gpu memory",
                r"Requested amount of GPU memory \((?P<asked>\d+ bytes)\) could not be allocated",
            ),
            Pattern("cuda runtime (out of memory)", r"Error Code 1: Cuda Runtime \(out of memory\)"),
            Pattern("cuda driver (out of memory)", r"Cuda Driver \(out of memory\)"),
        ),
        "TensorRT could not get GPU memory[[ ({asked})]].",
        "Lower max_batch_size, max_num_tokens or max_seq_len, "
        "raise the parallelism, or free the GPU of other processes.",
    ),
    Entry(
        "B15",
        Reason.INVALID_OPTIONS,
        "option unknown to this version",
        (
            Pattern("unrecognized arguments", r"unrecognized arguments:? (?P<flag>\S+)"),
            Pattern("no such option", r"No such option:? ['\"]?(?P<flag>-\S+?)['\"]?(?:[\s.]|$)"),
            Pattern("the following arguments are required", r"the following arguments are required: (?P<flag>\S+)"),
        ),
        "This version of the program does not take (or lacks) the option {flag}.",
        "Remove or rename it for this image's version; the operator's flag tables know each version.",
    ),
    Entry(
        "B16",
        Reason.WRONG_IMAGE,
        "image without TensorRT's engine backend",
        (
            Pattern("no module named", r"No module named ['\"]?(?P<what>tensorrt(?:_llm|_bindings|_libs)?)\b(?!\.)"),
            Pattern("trtllm-build", r"(?P<what>trtllm-build)['\"]?:? .{0,20}(?:command )?not found"),
            Pattern("trtllm-", r"exec: \\?\"(?P<what>trtllm-\w+)\\?\".*not found"),
            Pattern("trtllm-", r"No such file or directory: '(?P<what>trtllm-[\w-]+)'"),
            Pattern("trtllm-", r"(?P<what>trtllm-[\w-]+): (?:command )?not found"),
            Pattern("libnvinfer", r"(?P<what>libnvinfer\S*?):? cannot open shared object"),
            Pattern("tensorrt backend", r"TensorRT backend .{0,40}(?:removed|no longer|not (?:available|supported))"),
            Pattern("convert_checkpoint.py", r"can't open file '?(?P<what>\S*convert_checkpoint\.py)"),
        ),
        "The image has no[[ {what}]] TensorRT engine tools.",
        "Use an image up to 1.2.x for `runtime: tensorrt`, or `runtime: pytorch`.",
    ),
    Entry(
        "B17",
        Reason.UNSUPPORTED_ARCHITECTURE,
        "architecture unknown to trtllm-build",
        (Pattern("unsupported model architecture", r"Unsupported model architecture:? ?['\"]?(?P<name>\w+)?"),),
        "trtllm-build does not know the architecture[[ {name}]].",
        "Use `runtime: pytorch`, or an image whose engine backend knows it.",
    ),
    Entry(
        "B18",
        Reason.INVALID_OPTIONS,
        "options in conflict",
        (
            Pattern(
                "gather_context_logits", _REFUSES + (r"(?:gather_context_logits.*draft|draft.*gather_context_logits)")
            ),
            Pattern(
                "context logits",
                _REFUSES
                + (
                    r"(?:context logits.*(?:draft|speculative)|(?:draft|speculative).*context "
                    r"logits)"
                ),
            ),
            Pattern(
                "multiple_profiles",
                _REFUSES + (r"(?:multiple_profiles.*opt_num_tokens|opt_num_tokens.*multiple_profiles)"),
            ),
            Pattern(
                "multiple profiles",
                _REFUSES
                + (
                    r"(?:multiple profiles.*opt_num_tokens|opt_num_tokens.*multiple "
                    r"profiles)"
                ),
            ),
            Pattern("gemm_swiglu", _REFUSES + r"(?:gemm_swiglu\w*.*(?:fused_mlp|fused mlp)|fused_mlp.*gemm_swiglu)"),
            Pattern("streamingllm", r"streaming ?llm.*(?:not supported|no longer|unsupported|removed)"),
        ),
        "Two build options exclude each other.",
        "Drop one: draft tokens exclude gathered context logits, "
        "multiple profiles exclude opt_num_tokens, the gemm_swiglu "
        "plugin needs the fused MLP.",
    ),
    Entry(
        "B19",
        Reason.INVALID_OPTIONS,
        "EAGLE limits",
        (
            Pattern(
                "eagle",
                r"EAGLE.*(?:batch|draft).*(?:\b512\b|\b256\b|exceed|too "
                r"large)|(?:large|exceed\w*|limit) .{0,20}EAGLE.{0,60}\b"
                r"(?:512|256)\b",
            ),
            Pattern("eagle", r"(?:batch|draft).*(?:\b512\b|\b256\b).*EAGLE"),
        ),
        "EAGLE takes at most a batch of 512 and 256 draft tokens.",
        "Lower max_batch_size or max_draft_len.",
    ),
    Entry(
        "B20",
        Reason.OPTIONS_DOWNGRADED,
        "options switched off silently",
        (
            Pattern(
                "context fmha",
                r"(?P<what>(?:paged|fp8)[ _]context[ _]fmha)[^-=]{0,80}(?:disabled|disabling"
                r"|turned off|switched off|ignored|fall\w* back|set to "
                r"false)",
            ),
            Pattern(
                "context_fmha",
                r"(?P<what>(?:use_)?(?:paged|fp8)_context_fmha)[^-=]{0,80}(?:disabled|disabling"
                r"|turned off|switched off|ignored|fall\w* back|set to "
                r"false)",
            ),
            Pattern(
                "context fmha",
                r"(?:disabl\w*|turn\w* off|ignor\w*)[^-=]{0,30}(?P<what>"
                r"(?:paged|fp8)[ _]context[ _]fmha)",
            ),
            Pattern(
                "context_fmha",
                r"(?:disabl\w*|turn\w* off|ignor\w*)[^-=]{0,30}(?P<what>(?:use_)?(?:paged|fp8)_context_fmha)",
            ),
        ),
        "The build went on without {what}, which was asked for.",
        "FP8 attention needs an FP8 algorithm; paged context attention excludes an INT8 KV cache.",
        tier=Tier.NOTE,
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "B22",
        Reason.WORLD_SIZE_MISMATCH,
        "a rank's weights are missing",
        (
            Pattern("assert os.path.isfile", r"assert os\.path\.isfile"),
            Pattern("assert", _ASSERTED, within=r"os\.path\.(?:isfile|exists)"),
            Pattern(
                ".safetensors",
                r"(?P<file>rank\d+\.safetensors).{0,40}(?:no such file|not found|does not exist|missing)",
            ),
            Pattern("no such file", r"No such file.{0,60}(?P<file>rank\d+\.(?:safetensors|engine))"),
            Pattern(".engine", r"(?P<file>rank\d+\.engine).{0,40}(?:no such file|not found|does not exist|missing)"),
        ),
        "A rank's file[[ ({file})]] is missing: the checkpoint was made for another world size.",
        "Convert again with the same tensor and pipeline parallelism as the build.",
        certainty=_LIKELY,
    ),
)
