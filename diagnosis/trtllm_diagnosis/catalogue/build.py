"""Failures of engine builds: B7 to B22 of docs/failures.md; gpu.py has what a GPU lacks."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier
from trtllm_diagnosis.model import Certainty

_REFUSES: Final = r"(?=.*(?:not |n't|cannot|exclus|conflict|unsupported|both|requires? |needs? |incompat|without))"
_LIKELY: Final = Certainty.LIKELY
_ASSERTED: Final = r"^\W*(?:\w+\W+)?AssertionError\b"

BUILD: Final = (
    Entry(
        "B7",
        Reason.CHECKPOINT_MISMATCH,
        "shapes differ between checkpoint and configuration",
        (
            Pattern("original: (", r"Updated: \((?P<new>[^)]*)\), original: \((?P<old>[^)]*)\)"),
            Pattern("not the same shape as the original", r"not the same shape as the original"),
            Pattern("failed to set weight", r"Error: Failed to set weight: (?P<new>\S+)"),
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
        "B13",
        Reason.ENGINE_BUILD_FAILED,
        "no implementation for a node",
        (
            Pattern("no implementation", r"\bno implementation (?:\w+ ){0,3}for (?:the )?node (?P<node>\{?[^\s.\]]+)"),
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
        "B13e",
        Reason.ENGINE_BUILD_FAILED,
        "an error of TensorRT that no other entry knows",
        (
            Pattern(
                "error code",
                r"(?:\[TRT(?:-LLM)?\] \[E\]"
                r"|\[E\] \[TRT\])(?!.*out of memory).*Error Code (?P<code>(?!2\b)\d+): (?P<what>[\w ]+)",
            ),
            Pattern("error code", r"\[TensorRT-LLM\]\[ERROR\].*Error Code (?P<code>(?!2\b)\d+): (?P<what>[\w ]+)"),
        ),
        "TensorRT reported error {code}: {what}.",
        "Read its line in the log; a newer image, smaller limits or the PyTorch runtime usually help.",
        tier=Tier.CONSEQUENCE,
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
            *(
                Pattern(
                    f"{word} ",
                    rf"{word} (?:command line |command-line )?(?:option|argument|flag"
                    rf"|parameter)s?:? \W?(?P<flag>--?\w[\w-]*)",
                )
                for word in ("unknown", "unrecognized", "unsupported", "unexpected")
            ),
            Pattern("no such option", r"No such option:? ['\"]?(?P<flag>-\S+?)['\"]?(?:[\s.]|$)"),
            Pattern("the following arguments are required", r"the following arguments are required: (?P<flag>\S+)"),
            Pattern("unexpected extra argument", r"unexpected extra arguments? \((?P<flag>[^)]+)\)"),
            Pattern("error: argument", r"error: argument (?P<flag>\S+?): (?:expected|not allowed)"),
        ),
        "This version of the program does not take (or lacks) the option {flag}.",
        "Remove or rename it for this image's version; the operator's flag tables know each version.",
    ),
    Entry(
        "B16",
        Reason.IMAGE_MISMATCH,
        "image without TensorRT's engine backend",
        (
            Pattern("no module named", r"No module named ['\"]?(?P<what>tensorrt(?:_llm|_bindings|_libs)?)\b(?!\.)"),
            Pattern("trtllm-build", r"(?P<what>trtllm-build)['\"]?:? .{0,20}(?:command )?not found"),
            Pattern("trtllm-", r"exec: \\?\"(?P<what>trtllm-\w+)\\?\".*not found"),
            Pattern("trtllm-", r"(?P<what>trtllm-[\w-]+): No such file"),
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
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "architecture unknown to trtllm-build",
        (
            Pattern("unsupported model architecture", r"Unsupported model architecture:? ?['\"]?(?P<name>\w+)?"),
            Pattern(
                "keyerror: '",
                r"KeyError: '(?P<name>\w+For(?:CausalLM|ConditionalGeneration|SequenceClassification)|\w+LMHeadModel)'",
            ),
            Pattern(
                "unsupported arch", r"Unsupported architectures?:? ?['\"\[]{0,2}(?P<name>\w+(?:For[A-Z]\w+|Model|LM))"
            ),
        ),
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
            Pattern("gemm_swiglu", _REFUSES + r"(?:gemm_swiglu.*(?:fused_mlp|fused mlp)|fused_mlp.*gemm_swiglu)"),
            Pattern("streamingllm", r"streaming ?llm.*(?:not supported|no longer|unsupported|removed)"),
            Pattern("gemmswiglu", _REFUSES + r"gemmswiglu.*(?:fused_mlp|fused mlp)"),
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
                r"(?=.*EAGLE.{0,120}(?:batch|draft))(?:batch|draft).{0,120}(?:\b512\b|\b256\b|exceed|too large)",
            ),
            Pattern("eagle", r"(?:large|exceed\w*|limit) .{0,20}EAGLE.{0,60}\b(?:512|256)\b"),
            Pattern("eagle", r"(?=.*\b(?:512|256)\b.*EAGLE)(?:batch|draft).*\b(?:512|256)\b"),
            Pattern(
                "eagle",
                r"(?=.*\b(?:max|must|at most|limit|up to|exceed|only)\b)(?=.*\b(?:512|256)\b)"
                r"(?:(?:batch|draft)\b.*\bEAGLE|EAGLE.*(?:batch|draft))",
            ),
            Pattern(
                "eagle",
                r"(?:batch size|draft\w*|tokens)\b.{0,40}(?:larger|greater|more|higher) than \d+ (?:is "
                r"|are )?not supported.{0,20}EAGLE",
            ),
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
                r"(?:disabl|turn\w{0,3} off|ignor)[^-=]{0,40}(?P<what>"
                r"(?:paged|fp8)[ _]context[ _]fmha)",
            ),
            Pattern(
                "context fmha",
                r"(?P<what>context fmha\b)(?=.{0,40}\b(?:paged|fp8))[^-=]{0,120}\b(?:disabled|disabling"
                r"|(?:turned|switched) off)",
            ),
            Pattern(
                "context_fmha",
                r"(?:disabl|turn\w{0,3} off|ignor)[^-=]{0,40}(?P<what>(?:use_)?(?:paged|fp8)_context_fmha)",
            ),
        ),
        "The build continued without {what}, which the spec requests.",
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
            Pattern(
                ".engine",
                r"(?:error|fail\w*|cannot|unable)\b.{0,30}(?:open|load|read)\w*\b.{0,30}?(?P<file>rank\d+\.engine)",
            ),
        ),
        "A rank's file[[ ({file})]] is missing: the checkpoint was made for another world size.",
        "Convert again with the same tensor and pipeline parallelism as the build.",
        certainty=_LIKELY,
    ),
)
