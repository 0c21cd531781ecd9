"""Methods for a spec without one: those that the target GPUs run natively and the model allows, the smallest first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trtllm_api.base import Device
from trtllm_api.modelstatus import MethodLadder
from trtllm_api.quality import OnFailure
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import CheckpointFormat, QuantizedModelSpec
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, judge, refusal, refusals
from trtllm_planner.inventory import Inventory
from trtllm_planner.quantization.question import QuantizeQuestion
from trtllm_planner.quantization.rules import QUANTIZE_RULES
from trtllm_planner.tensorrt_llm.versions import ALGORITHM_OF, EngineRuntime, ImageInfo, usable_algorithms

ORDER = (
    Method.NVFP4,
    Method.W4A8_AWQ,
    Method.INT4_AWQ,
    Method.INT4_WEIGHT_ONLY,
    Method.FP8,
    Method.FP8_PER_CHANNEL_PER_TOKEN,
    Method.INT8_SMOOTH_QUANT,
    Method.INT8_WEIGHT_ONLY,
)
"""Methods in order: fewest bits of a weight, then fewest bits of an activation (speed), then coarser scales."""
ON_CPU = (Method.INT4_WEIGHT_ONLY, Method.INT8_WEIGHT_ONLY)
"""Methods that the Transformers server runs on a CPU without simulating the arithmetic of a GPU."""
_CPU = "the Transformers server on a CPU"
_MOST_PRODUCTS = 8
_OMITTED = "spec.quantization.method is omitted"
_ANY_IMAGE = ImageInfo("", None)
"""Image for the newest table, because the image that will serve is not known here."""


@dataclass(frozen=True)
class Fitting:
    """Methods of a ladder that suit a model, and why."""

    methods: tuple[Method, ...]
    why: tuple[str, ...]


def method_ladder(spec: QuantizedModelSpec, gpus: Inventory, inputs: str) -> MethodLadder | None:
    """Methods for spec.device; None if that is GPU and there is none. `inputs` identifies the part of the spec.

    With several kinds of GPU, these are the methods that all of them run with the checkpoint format's runtime.
    """
    if spec.device is Device.CPU:
        return MethodLadder(inputs=inputs, target=_CPU, methods=ON_CPU)
    kinds = [kind for kind in gpus.kinds() if gpus.counts(kind)]
    if not kinds:
        return None
    whole = spec.checkpoint.format is CheckpointFormat.HUGGING_FACE
    runtime = EngineRuntime.PYTORCH if whole else EngineRuntime.TENSORRT
    common = set.intersection(*(set(usable_algorithms(_ANY_IMAGE, runtime, kind.capability)) for kind in kinds))
    names = list(dict.fromkeys(f"{kind.product} ({kind.sm})" for kind in kinds))
    more = len(names) - _MOST_PRODUCTS
    return MethodLadder(
        inputs=inputs,
        target=", ".join(names[:_MOST_PRODUCTS]) + (f" and {more} other products" if more > 0 else ""),
        methods=tuple(method for method in ORDER if ALGORITHM_OF[method] in common),
    )


def fitting(question: QuantizeQuestion, ladder: MethodLadder) -> Fitting:
    """The ladder without methods that a rule refuses for this model, or that another method makes pointless."""
    general = set(_refused(replace(question, planned=())))
    methods: list[Method] = []
    why: list[str] = []
    for method in ladder.methods:
        own = [said for said in _refused(replace(question, planned=(method,))) if said not in general]
        reason = own[0] if own else _pointless(question.spec, method, methods)
        if reason:
            why.append(f"left out: {reason}")
        else:
            methods.append(method)
    if not methods:
        return Fitting((), tuple(why))
    said = f"{_OMITTED}; methods that {ladder.target} runs natively are tried until one passes the quality gate: "
    said += ", then ".join(methods)
    if question.spec.quality.on_failure is not OnFailure.FALLBACK:
        said = (
            f"{_OMITTED}; {methods[0]} makes the smallest artifact of the methods that {ladder.target} runs natively, "
        )
        said += f"and spec.quality.onFailure {question.spec.quality.on_failure} tries no other"
    return Fitting(tuple(methods), (said, *why))


def nothing_left(spec: QuantizedModelSpec, ladder: MethodLadder, why: tuple[str, ...]) -> Verdict:
    """Refusal if neither the ladder nor a fallback has a method."""
    if ladder.methods:
        message = f"{_OMITTED}, and none of the methods that {ladder.target} runs natively fits this model"
        message += f" ({'; '.join(why)})"
    else:
        every = "all of " if ", " in ladder.target else ""
        message = f"{_OMITTED}, and no format of a {spec.checkpoint.format} checkpoint runs natively on "
        message += f"{every}{ladder.target}"
    remedy = "set spec.quantization.method"
    if spec.device is Device.GPU:
        remedy += ", or choose among the GPUs with spec.podTemplate.nodeSelector (nvidia.com/gpu.product)"
    return refusal(Reason.NO_METHOD_FITS, message, remedy, {"target": ladder.target})


def _refused(question: QuantizeQuestion) -> list[str]:
    return [verdict.sentence for verdict in refusals(judge(QUANTIZE_RULES, question))]


def _pointless(spec: QuantizedModelSpec, method: Method, before: list[Method]) -> str:
    if method is Method.NVFP4 and spec.checkpoint.format is CheckpointFormat.TENSORRT_LLM:
        return "NVFP4: a TensorRT-LLM checkpoint in NVFP4 cannot be measured"
    if method is Method.INT4_WEIGHT_ONLY and Method.INT4_AWQ in before:
        return "INT4WeightOnly: as large as INT4AWQ, which loses less"
    return ""
