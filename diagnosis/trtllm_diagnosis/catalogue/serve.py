"""Failures of serving: S1 to S34 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.model import Certainty

_LIKELY: Final = Certainty.LIKELY
_OTHER_GPU: Final = "Use a GPU of a newer generation, or an algorithm that this one runs: `trtllm plan` lists them."
_OOM: Final = ("G1", "Q9", "L16", "B14", "S16")

SERVE: Final = (
    Entry(
        "S1",
        Reason.GPU_NOT_SUPPORTED,
        "FP4 before Blackwell",
        (
            Pattern("arch unsupported for cutlass", r"Arch unsupported for CUTLASS (?:NV)?FP4"),
            Pattern(
                "not supported before blackwell",
                r"(?<!\w)(?P<what>\w{0,20}FP4[\w ]{0,40}?) (?:is )?not supported before Blackwell",
            ),
            Pattern(
                "fp4",
                r"(?:NV|MX)?FP4\b.{0,60}(?:requires?|needs?|only (?:supported"
                r"|available) (?:on|for))\b.{0,40}(?:SM ?1\d\d|Blackwell"
                r"|compute capability)",
            ),
        ),
        "FP4 needs a Blackwell GPU (SM 100 or newer).",
        _OTHER_GPU,
    ),
    Entry(
        "S2",
        Reason.GPU_NOT_SUPPORTED,
        "block FP8 on another GPU",
        (
            Pattern(
                "unsupported sm version for",
                r"Unsupported SM version for (?P<what>[\w ]+?)(?: ?[:,.(]|$)(?:\D{0,12}(?P<sm>\d+))?",
            ),
        ),
        "{what} has no kernel for this GPU[[ (SM {sm})]].",
        _OTHER_GPU,
    ),
    Entry(
        "S4",
        Reason.GPU_NOT_SUPPORTED,
        "no attention kernel for this combination",
        (
            Pattern("fmha kernels are not found"),
            Pattern(
                "fmha", r"FMHA kernels? doesn't exist|Assertion failed: \w*fmha\w*\b.{0,40}(?:support|exist|found)"
            ),
            Pattern("fmha kernel", r"(?:no|cannot find|can't find|could not find)\b.{0,30}FMHA kernel"),
            Pattern("kernels not found", r"(?:trtllm-?gen|fmha|xqa|mla)\b.{0,20}kernels? not found"),
            Pattern("trtllm-gen kernel", r"(?:missing|no|unsupported) TRTLLM-GEN kernel"),
        ),
        "No attention kernel takes this combination of precision, KV cache and GPU.",
        "Set the KV cache's type to auto, or use a newer image.",
    ),
    Entry(
        "S6",
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "quantized checkpoint that the PyTorch runtime does not load",
        (
            Pattern(
                "unsupported quantization_config",
                r"Unsupported quantization_config:? ?(?:.*?quant_method\W+(?P<method>\w+))?",
            ),
            Pattern(
                "quant",
                r"(?:quantization )?(?:method|quant_method)\W{1,4}['\"]?"
                r"(?P<method>awq|gptq|bitsandbytes|gguf|aqlm|hqq|quanto"
                r"|eetq)['\"]?.{0,40}(?:not supported|unsupported|not recognized)",
            ),
            Pattern(
                "not support",
                r"not support\w*\b.{0,20}?\b(?P<method>bitsandbytes|awq|gptq|gguf"
                r"|aqlm|hqq|quanto|eetq|"
                r"compressed-tensors)\b",
            ),
            Pattern("quant", r"(?:unsupported|unknown) quant(?:ization)?[_ ]method:? ?['\"]?(?P<method>\w+)"),
        ),
        "The PyTorch runtime does not load this quantized checkpoint[[ ({method})]].",
        "Quantize the BF16 original with this operator; AWQ, GPTQ and bitsandbytes directories do not load.",
    ),
    Entry(
        "S7",
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "quant_algo missing or contradictory",
        (
            Pattern("must have quant_algo", r"Pre-quantized checkpoint must have quant_algo"),
            Pattern(
                "conflicting",
                r"Specified (?P<what>\w*quant_algo)\s*=\s*'?(?P<a>[\w.]+)'?.{0,20}conflicting"
                r"(?: with.*?quant_algo\s*=\s*'?(?P<b>[\w.]+))?",
            ),
        ),
        "The checkpoint's quantization is not stated or contradicts the options[[: {what} {a}]][[ against {b}]].",
        "Leave the algorithm to the checkpoint, and ship hf_quant_config.json with it.",
    ),
    Entry(
        "S8",
        Reason.SHARD_NOT_ALIGNED,
        "block or group size without kernel",
        (
            Pattern("block_size", r"only supports? (?:weight_)?block_size\s*=?\s*(?P<of>\(?\[?\d+, ?\d+\]?\)?)"),
            Pattern("group_size", r"(?:\b(?P<what>\w+) )?only supports? group_size\s*=?\s*(?P<of>\d+)"),
            Pattern("block_size", r"expected \w*block_size\b.{0,16}(?P<of>[\[(]\d+, ?\d+[\])]).{0,10}\bgot\b"),
        ),
        "The runtime takes only blocks or groups of {of}[[ for {what}]].",
        "Quantize again with that size.",
    ),
    Entry(
        "S11",
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "architecture unknown to the runtime",
        (
            Pattern("unknown architecture", r"Unknown architecture for AutoModelForCausalLM:? ?(?P<name>\w+)?"),
            Pattern(
                "is not supported in trt-llm yet", r"architecture '?(?P<name>\w+?)'? is not supported in TRT-LLM yet"
            ),
            Pattern(
                "architecture",
                r"architectures?\W{1,4}(?P<name>\w{3,60}(?:LM|Model|Generation"
                r"|LMHeadModel))\W{1,3} ?(?:is |are )?(?:(?:not|un)\W?(?:yet )?(?:supported|known|recognized)"
                r"|failed to be inspected)",
            ),
            Pattern(
                "architecture",
                r"(?:model|checkpoint|GGUF)\b.{0,24}architectures? \W?(?P<name>(?!sm_?\d)[a-z][\w.-]+?)\W? (?:is|are) "
                r"not (?:yet )?(?:supported|known)",
            ),
        ),
        "The runtime does not know the architecture[[ {name}]].",
        "Use a newer image, or a model of its table.",
    ),
    Entry(
        "S12",
        Reason.EXPERTS_NOT_DIVISIBLE,
        "experts and expert parallelism",
        (
            Pattern("experts", r"experts?\b\D{0,30}(?P<experts>\d+)\D{0,60}(?:multiple|divisible)\D{0,80}(?P<ep>\d+)"),
            Pattern(
                "experts",
                r"experts?\b.{0,60}(?:not|must be|should be)(?: a| evenly)? "
                r"(?:multiple|divisible).{0,30}(?:ep|expert|moe|parallel)",
            ),
            Pattern("experts %", r"assert .*experts\s*%"),
            Pattern(
                "experts",
                r"(?:Error|assert)\b.{0,60}experts?\D{0,4}(?P<experts>\d+)\D{0,3}% ?\D{0,12}(?P<ep>\d+)\D{0,3}(?:!"
                r"=|==)",
            ),
            Pattern(
                "experts",
                r"experts?\b\D{0,10}(?P<experts>\d+)\D{0,20}(?:not|n't) be (?:evenly )?(?:distribut|divid|split"
                r"|shard)\w*\D{0,30}(?P<ep>\d+)?",
            ),
        ),
        "The experts[[ ({experts})]] do not divide by the expert parallelism[[ ({ep})]].",
        "Use an expert parallelism that divides the experts.",
    ),
    Entry(
        "S13",
        Reason.HEADS_NOT_DIVISIBLE,
        "bare assertion in attention.py",
        (Pattern("assert", r"^\W*(?:\w+\W+)?AssertionError\b", within=r"attention\.py"),),
        "the heads do not divide by tp x cp (an assertion in attention.py failed).",
        "Use a tensor parallelism that divides the heads: `trtllm plan` names the valid ones.",
        certainty=_LIKELY,
        refines=("C6",),
    ),
    Entry(
        "S15",
        Reason.INVALID_OPTIONS,
        "unknown key in the serving configuration",
        (
            Pattern(
                "extra inputs are not permitted",
                r"(?:(?<![\w.])(?P<key>[\w.]{1,80})\s+)?Extra inputs are not permitted",
            ),
            Pattern("extra_forbidden"),
            Pattern("yaml.", r"yaml\.\w+\.(?:Scanner|Parser|Constructor|Composer)Error"),
            Pattern(
                "unexpected keyword argument",
                r"(?<!\w)\w{0,40}(?:LlmArgs|LLM|Config)[\w.]{0,40}(?:\(\))? "
                r"got an unexpected keyword argument '(?P<key>\w+)'",
            ),
            Pattern("unexpected keyword", r"(?:Args|LLM|Config)\b.{0,20}unexpected keyword:? '(?P<key>\w+)'"),
            Pattern("invalid keyword argument", r"Invalid keyword arguments?(?:\(s\))?\b.{0,40}?: (?P<key>\w+)"),
        ),
        "The serving configuration has a key that this version does not know[[: {key}]].",
        "Remove or rename it for the image's version.",
    ),
    Entry(
        "S16",
        Reason.GPU_OUT_OF_MEMORY,
        "the executor does not fit",
        (
            Pattern(
                "executor creation failed",
                r"Executor creation failed (?:due to|with an error which might indicate) insufficient GPU memory",
            ),
        ),
        "The executor does not fit into GPU memory.",
        "Lower max_num_tokens, max_seq_len or the KV cache's fraction, or raise the tensor parallelism.",
    ),
    Entry(
        "S16m",
        Reason.GPU_OUT_OF_MEMORY,
        "the executor's model does not fit",
        (Pattern("could not be created:", r"component could not be created: \(?(?P<what>(?:draft )?model\b[^)]*)"),),
        "The weights and activations do not fit into GPU memory ({what}).",
        "Lower max_num_tokens, raise the tensor parallelism, or quantize further.",
        refines=_OOM,
    ),
    Entry(
        "S16k",
        Reason.GPU_OUT_OF_MEMORY,
        "the executor's KV cache does not fit",
        (
            Pattern(
                "could not be created:", r"component could not be created: \(?(?P<what>(?:initial )?kv[ _]?cache[^(]*)"
            ),
        ),
        "The KV cache does not fit into GPU memory beside the model.",
        "Lower the KV cache's memory fraction.",
        refines=_OOM,
    ),
    Entry(
        "S16s",
        Reason.GPU_OUT_OF_MEMORY,
        "the executor's sampler or other buffers do not fit",
        (
            Pattern(
                "could not be created:",
                r"component could not be created: \(?(?P<what>(?!(?:draft )?model\b|(?:initial )?kv).{3,80})",
            ),
        ),
        "A buffer of the executor does not fit into GPU memory: {what}.",
        "Lower max_seq_len (sampler) or max_num_tokens, or the KV cache's memory fraction.",
        refines=_OOM,
    ),
    Entry(
        "S31",
        Reason.BIND_FAILED,
        "address or port cannot be used",
        (
            Pattern("failed to bind socket to", r"Failed to bind socket to (?P<where>\S+)"),
            Pattern("address already in use", r"(?:\('(?P<host>[^']+)', (?P<port>\d+)\).*)?address already in use"),
            Pattern("cannot assign requested address"),
            Pattern("probe failed", r"Readiness probe failed: .*connect: connection refused", certainty=_LIKELY),
            Pattern(
                "attempting to bind on address", r"attempting to bind on address \('(?P<host>[^']+)', (?P<port>\d+)"
            ),
        ),
        "The server's address[[ {where}]][[ {host}:{port}]] cannot "
        "be used, or it listens at an address that the probes do not reach.",
        "Pass --host 0.0.0.0 and a port that nothing else uses.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "S32",
        Reason.EXECUTOR_CRASHED,
        "executor died while the process lives",
        (
            Pattern("executor loop crashed"),
            Pattern("hard-killing"),
            Pattern("loop", r"\b(?:event|executor|engine|worker|main) loop\b.{0,40}\b(?:crashed|died|is dead)"),
            Pattern(
                "executor", r"executor(?: (?:loop|worker|thread|process)\b.{0,40})? (?:has )?(?:crashed|died|is dead)\b"
            ),
        ),
        "The executor's loop crashed; the server answers 503 for ever after.",
        "Restart the pod; a liveness probe must treat 503 after "
        "Ready as fatal. The first error before it is the cause.",
        tier=Tier.CONSEQUENCE,
    ),
    Entry(
        "S34",
        Reason.PROBE_FAILED,
        "killed by a probe",
        (
            Pattern("probe, will be restarted", r"failed (?P<probe>startup|liveness) probe, will be restarted"),
            Pattern("probe failed", r"(?P<probe>Startup|Liveness) probe failed"),
        ),
        "Kubernetes restarted the container because its {probe} probe failed, perhaps while it was still loading.",
        "Give the startupProbe at least 30 minutes; loading a large model takes that long.",
        tier=Tier.CONSEQUENCE,
    ),
    Entry(
        "S35",
        Reason.TERMINATED,
        "the process received SIGTERM",
        (
            Pattern("sigterm", r"(?:received|caught|got)\b.{0,20}SIG(?:TERM|INT)\b"),
            Pattern("signal 15", r"(?:received|caught|got|terminated by)\b.{0,20}signal:? 15\b"),
            *(
                Pattern(word, r"(?:cancelled|canceled|killed|stopp\w+)\b.{0,60}due to (?:time limit|preemption|node)")
                for word in ("time limit", "preemption", "due to node")
            ),
            Pattern("keyboardinterrupt: terminated"),
        ),
        "the process received SIGTERM: the pod was deleted, preempted or its probe failed.",
        "Look at the pod's events; a startupProbe of 30 minutes lets large models load.",
        tier=Tier.CONSEQUENCE,
        certainty=_LIKELY,
        yields=True,
    ),
    Entry(
        "S36",
        Reason.INVALID_OPTIONS,
        "the runtime refuses a combination of options",
        (
            Pattern(
                "assertion failed",
                r"Assertion failed: (?=[^(/]{0,200}\b(?:must|should|do not|ha(?:s|ve) to|not supported|requires?"
                r"|only (?:be )?(?:supported|used|allowed|enabled)"
                r"|can(?:not|'t) (?:be )?(?:used?|combined?|enabled?|set))\b)"
                r"(?P<what>[A-Z][\w,'-]* [^/]{8,160}?)(?=\.? \(/|\.?$)",
            ),
        ),
        "the runtime refuses this combination of model and options: {what}.",
        "Change the option that it names, in the build or in the serving configuration.",
        tier=Tier.CONSEQUENCE,
        certainty=_LIKELY,
    ),
)
