"""Every bound and every rule of an EngineBuild's spec, as the API server applies it."""

from __future__ import annotations

from typing import Any

import pytest
from control_plane import ENGINE_BUILD, ApiServer, Spec
from schema_cases import (
    Acceptance,
    Field,
    Rejection,
    Values,
    acceptances,
    assert_accepted,
    assert_refused,
    broken_rule,
    choice,
    entries,
    items,
    leave_out,
    number,
    put,
    rejections,
    spec_schema,
    text,
    unaccepted,
    unbounded,
    uncovered,
)
from shared_fields import (
    POD_TEMPLATE,
    SOURCE_RULE,
    pod_fields,
    pod_required,
    pod_rules,
    source_fields,
    source_required,
    storage_fields,
)
from shared_values import FRACTION, OBJECT_NAME, QUANTITY, RELATIVE_PATH, SHORT_TEXT

SPEC: dict[str, Any] = {
    "modelRef": {"name": "smollm2"},
    "runtime": "Transformers",
    "device": "GPU",
    "podTemplate": POD_TEMPLATE,
    "serving": {
        "replicas": 2,
        "servedModelName": "smollm2",
        "maxConcurrentRequests": 8,
        "service": {"type": "ClusterIP", "port": 8000},
        "podTemplate": POD_TEMPLATE,
    },
    "suspend": False,
}
ENGINE: dict[str, Any] = {
    "source": {
        "huggingFace": {"repo": "org/model", "revision": "v1", "tokenSecretRef": {"name": "hub", "key": "token"}}
    },
    "trustRemoteCode": False,
    "storage": {"claimName": "store", "size": "10Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"},
    "runtime": "TensorRT",
    "image": "nvcr.io/nvidia/tensorrt-llm/release:1.2.1",
    "imageVersion": "1.2.1",
    "gpu": {"product": "NVIDIA-L4", "computeCapability": "8.9", "memory": "20Gi", "perNode": 4},
    "parallelism": {"tensor": 2, "pipeline": 2, "context": 1, "moeTensor": 1, "moeExpert": 2},
    "limits": {
        "maxBatchSize": 8,
        "maxInputLength": 1024,
        "maxSequenceLength": 2048,
        "maxTokens": 4096,
        "maxBeamWidth": 1,
    },
    "convert": {
        "dataType": "bfloat16",
        "smoothQuant": {"alpha": "0.5", "perChannel": True, "perToken": True},
        "kvCache": "INT8",
        "calibration": {"claimName": "texts", "path": "cnn"},
        "calibrationSamples": 64,
        "parallelEmbedding": True,
        "embeddingShardingDimension": 1,
        "loadByShard": True,
        "loadOnCpu": True,
        "workers": 2,
        "extraArgs": ["--log_level=info"],
    },
    "build": {
        "gpus": 1,
        "workers": 1,
        "kvCacheType": "Paged",
        "tokensPerBlock": 64,
        "optTokens": 1024,
        "contextAttention": True,
        "pagedContextAttention": True,
        "fp8ContextAttention": False,
        "removeInputPadding": True,
        "fusedMlp": True,
        "multipleProfiles": False,
        "gatherContextLogits": True,
        "gatherGenerationLogits": True,
        "logitsType": "float32",
        "maxPromptEmbeddingTableSize": 16,
        "lora": {"maxRank": 8, "targetModules": ["attn_q"], "source": "HF", "directories": ["legal"]},
        "speculativeDecoding": {"mode": "Eagle", "maxDraftLength": 4},
        "plugins": {"example": "auto"},
        "timingCache": True,
        "profilingVerbosity": "detailed",
        "stripPlan": True,
        "weightSparsity": True,
        "weightStreaming": True,
        "fastBuild": True,
        "monitorMemory": True,
        "extraArgs": ["--log_level=info"],
    },
    "serving": {
        "maxBatchSize": 4,
        "maxTokens": 1024,
        "maxSequenceLength": 1024,
        "maxBeamWidth": 1,
        "kvCacheFraction": "0.8",
        "chunkedPrefill": True,
        "lora": {
            "adapters": [{"name": "legal", "claimName": "adapters", "path": "legal"}],
            "maxRank": 8,
            "maxLoaded": 2,
        },
        "reasoningParser": "qwen3",
        "toolParser": "qwen3",
        "options": {"kv_cache_config": {"enable_block_reuse": True}},
        "extraArgs": ["--log_level=info"],
        "sharedMemory": "8Gi",
    },
}
WEIGHTS = put(leave_out(ENGINE, "spec.convert.smoothQuant"), "spec.convert.weightOnly", "INT8")
SERVER: dict[str, Any] = {
    "modelRef": {"name": "smollm2"},
    "runtime": "PyTorch",
    "image": "nvcr.io/nvidia/tensorrt-llm/release:1.2.1",
    "gpu": {"product": "NVIDIA-L4"},
    "parallelism": {"tensor": 2},
    "limits": {"maxBatchSize": 8},
    "serving": {"chunkedPrefill": True},
}
MINIMAL: dict[str, Any] = {"modelRef": {"name": "smollm2"}, "serving": {}}
BUILT_ONLY: dict[str, Any] = {
    "source": {"huggingFace": {"repo": "org/model"}},
    "runtime": "TensorRT",
    "image": "tensorrt-llm:1.2.1",
}
OF_SERVER = "of a server, "
NAME_RULE = "metadata.name must be no more than 40 characters: names of Jobs and Services are derived from it"
MODEL_RULE = "spec takes exactly one of modelRef and source"
IMAGE_RULE = "image names the TensorRT-LLM image of runtime PyTorch or TensorRT, which need it; Transformers takes none"
SERVING_RULE = "serving can be left out with runtime TensorRT only: the others build nothing"
BUILD_RULE = "build and convert belong to runtime TensorRT"
GPU_RULE = "gpu, parallelism, limits and imageVersion belong to the runtimes PyTorch and TensorRT"
DEVICE_RULE = "device CPU is for runtime Transformers"
SOURCE_RUNTIME_RULE = "source is for the runtimes PyTorch and TensorRT: use a QuantizedModel and modelRef"
CONVERT_RULE = "convert takes weightOnly or smoothQuant, not both"

SERVED_NAME = text(
    128,
    shortest=1,
    pattern="^[-._/:a-zA-Z0-9]+$",
    wrong={"with a space": "my model", "with a hash": "a#b"},
    right={"with an organisation and a tag": "org/model_v1.0:latest"},
)
IMAGE = text(
    512,
    shortest=1,
    pattern="^[^\\s]+$",
    wrong={"with a space": "tensorrt llm:1.2.1"},
    right={"by its digest": "registry.example:5000/trtllm@sha256:" + "0" * 64},
)
VERSION = text(
    32,
    pattern="^[0-9]+\\.[0-9]+(\\.[0-9]+)?(rc[0-9]+)?$",
    wrong={"in words": "latest", "with a letter before it": "v1.2.1", "of one number": "1"},
    right={"of two numbers": "0.20", "that is a candidate": "1.3.0rc20"},
    fill=lambda length: "1" * (length - 2) + ".0",
)
PRODUCT = text(
    128,
    shortest=1,
    pattern="^[-_.a-zA-Z0-9]+$",
    wrong={"with a space": "NVIDIA L4"},
    right={"that is a slice": "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb"},
)
CAPABILITY = text(
    4,
    pattern="^[0-9]{1,2}\\.[0-9]$",
    wrong={"as NVIDIA's documents write it": "SM90", "of one number": "9"},
    right={"of one digit": "9.0"},
    fill=lambda length: "1" * (length - 2) + ".0",
)
SHARED_MEMORY = text(
    32,
    pattern="^[0-9]+(Mi|Gi)$",
    wrong={"without a unit": "1000", "of a decimal unit": "1G"},
    right={"of MiB": "512Mi"},
    fill=lambda length: "1" * (length - 2) + "Gi",
)
ADAPTER = text(
    128,
    shortest=1,
    pattern="^[-._a-zA-Z0-9]+$",
    wrong={"with a slash": "org/adapter"},
    right={"with a dot": "legal-v1.0"},
)
ARGUMENT = text(1024, shortest=1)
ARGUMENTS = items(64, "--log_level=info")
COUNT = number(1, 1048576)
RANKS = number(1, 64)
PLUGIN = choice("auto", "float16", "float32", "bfloat16", "int32", "fp8", "nvfp4", "disable")

_ENGINE_FIELDS: dict[str, tuple[str, Values]] = {
    "image": ("an image", IMAGE),
    "imageVersion": ("an image's version", VERSION),
    "gpu.product": ("a GPU product", PRODUCT),
    "gpu.computeCapability": ("a compute capability", CAPABILITY),
    "gpu.memory": ("a GPU's memory", QUANTITY),
    "gpu.perNode": ("a number of GPUs of a node", RANKS),
    "parallelism.tensor": ("a tensor parallelism", RANKS),
    "parallelism.pipeline": ("a pipeline parallelism", RANKS),
    "parallelism.context": ("a context parallelism", RANKS),
    "parallelism.moeTensor": ("a tensor parallelism of experts", RANKS),
    "parallelism.moeExpert": ("an expert parallelism", RANKS),
    "limits.maxBatchSize": ("a batch size", COUNT),
    "limits.maxInputLength": ("a length of prompts", COUNT),
    "limits.maxSequenceLength": ("a length of sequences", COUNT),
    "limits.maxTokens": ("a number of tokens of a step", COUNT),
    "limits.maxBeamWidth": ("a beam width", RANKS),
    "convert.dataType": ("a data type", choice("auto", "float16", "bfloat16", "float32")),
    "convert.smoothQuant.alpha": ("an alpha", FRACTION),
    "convert.kvCache": ("a KV cache", choice("FP8", "INT8")),
    "convert.calibration.claimName": ("the calibration data's claim", OBJECT_NAME),
    "convert.calibration.path": ("the calibration data's path", RELATIVE_PATH),
    "convert.calibrationSamples": ("a number of calibration samples", number(1, 16384)),
    "convert.embeddingShardingDimension": ("a dimension of the embedding", number(0, 1)),
    "convert.workers": ("a number of converting workers", RANKS),
    "convert.extraArgs": ("a list of arguments of the conversion", ARGUMENTS),
    "convert.extraArgs[]": ("an argument of the conversion", ARGUMENT),
    "build.gpus": ("a number of GPUs that build", number(1, 512)),
    "build.workers": ("a number of building workers", RANKS),
    "build.kvCacheType": ("a type of KV cache", choice("Paged", "Continuous", "Disabled")),
    "build.tokensPerBlock": ("a number of tokens of a block", number(1, 1024)),
    "build.optTokens": ("an optimal number of tokens", COUNT),
    "build.logitsType": ("a type of logits", choice("float16", "float32")),
    "build.maxPromptEmbeddingTableSize": ("a size of the prompt table", number(0, 1048576)),
    "build.lora.maxRank": ("a rank of adapters", number(1, 1024)),
    "build.lora.targetModules": ("a list of adapted modules", items(32, "attn_q")),
    "build.lora.targetModules[]": ("an adapted module", SHORT_TEXT),
    "build.lora.source": ("a format of adapters", choice("HF", "NeMo")),
    "build.lora.directories": ("a list of adapters' directories", items(16, "legal")),
    "build.lora.directories[]": ("an adapter's directory", RELATIVE_PATH),
    "build.speculativeDecoding.mode": (
        "a mode of speculation",
        choice("DraftTokensExternal", "LookaheadDecoding", "Medusa", "ExplicitDraftTokens", "Eagle"),
    ),
    "build.speculativeDecoding.maxDraftLength": ("a length of drafts", number(1, 1024)),
    "build.plugins": ("a map of plugins", entries(32, "auto")),
    "build.plugins{}": ("a plugin's type", PLUGIN),
    "build.profilingVerbosity": ("a verbosity", choice("layer_names_only", "detailed", "none")),
    "build.extraArgs": ("a list of arguments of the build", ARGUMENTS),
    "build.extraArgs[]": ("an argument of the build", ARGUMENT),
    "serving.maxBatchSize": ("a server's batch size", COUNT),
    "serving.maxTokens": ("a server's number of tokens of a step", COUNT),
    "serving.maxSequenceLength": ("a server's length of sequences", COUNT),
    "serving.maxBeamWidth": ("a server's beam width", RANKS),
    "serving.kvCacheFraction": ("a fraction for the KV cache", FRACTION),
    "serving.lora.adapters": (
        "a list of adapters",
        items(16, {"name": "legal", "claimName": "adapters", "path": "legal"}),
    ),
    "serving.lora.adapters[].name": ("an adapter's name", ADAPTER),
    "serving.lora.adapters[].claimName": ("an adapter's claim", OBJECT_NAME),
    "serving.lora.adapters[].path": ("an adapter's path", RELATIVE_PATH),
    "serving.lora.maxRank": ("a server's rank of adapters", number(1, 1024)),
    "serving.lora.maxLoaded": ("a number of loaded adapters", number(1, 1024)),
    "serving.reasoningParser": ("a parser of reasoning", SHORT_TEXT),
    "serving.toolParser": ("a parser of tool calls", SHORT_TEXT),
    "serving.options": ("a map of options", entries(64, "yes")),
    "serving.extraArgs": ("a list of arguments of the server", ARGUMENTS),
    "serving.extraArgs[]": ("an argument of the server", ARGUMENT),
    "serving.sharedMemory": ("a size of shared memory", SHARED_MEMORY),
}
FIELDS = [
    Field("spec.modelRef.name", "the model's name", OBJECT_NAME, SPEC),
    Field("spec.runtime", "a runtime", choice("Transformers", besides=("PyTorch", "TensorRT")), SPEC),
    Field("spec.device", "a device", choice("GPU", "CPU"), SPEC),
    Field("spec.serving.replicas", "a number of replicas", number(0, 1000), SPEC),
    Field("spec.serving.servedModelName", "a served name", SERVED_NAME, SPEC),
    Field("spec.serving.maxConcurrentRequests", "a number of requests at once", number(1, 1024), SPEC),
    Field("spec.serving.service.type", "a kind of Service", choice("ClusterIP", "NodePort", "LoadBalancer"), SPEC),
    Field("spec.serving.service.port", "a port", number(1, 65535), SPEC),
    *source_fields("spec.source", ENGINE),
    *storage_fields("spec.storage", ENGINE),
    *(Field(f"spec.{path}", name, values, ENGINE) for path, (name, values) in _ENGINE_FIELDS.items()),
    Field("spec.convert.weightOnly", "a weight-only precision", choice("INT8", "INT4"), WEIGHTS),
    *pod_fields("spec.podTemplate", SPEC),
    *pod_fields("spec.serving.podTemplate", SPEC, OF_SERVER),
]
REQUIRED: dict[str, tuple[str, Spec]] = {
    "spec.modelRef.name": ("the model's name", SPEC),
    **source_required("spec.source", ENGINE),
    "spec.convert.calibration.claimName": ("the calibration data's claim", ENGINE),
    "spec.build.speculativeDecoding.mode": ("a mode of speculation", ENGINE),
    "spec.build.speculativeDecoding.maxDraftLength": ("a length of drafts", ENGINE),
    "spec.serving.lora.adapters[].name": ("an adapter's name", ENGINE),
    "spec.serving.lora.adapters[].claimName": ("an adapter's claim", ENGINE),
    "spec.serving.lora.adapters[].path": ("an adapter's path", ENGINE),
    **pod_required("spec.podTemplate", SPEC),
    **pod_required("spec.serving.podTemplate", SPEC, OF_SERVER),
}


def _rule(sentence: str, spec: Spec, message: str) -> Rejection:
    return broken_rule(sentence, spec, "spec", message)


BROKEN_RULES = [
    broken_rule("a name of 41 characters is refused", SPEC, "", NAME_RULE, "a" * 41),
    _rule("an engine of no model is refused", leave_out(ENGINE, "spec.source"), MODEL_RULE),
    _rule("an engine of two models is refused", {**ENGINE, "modelRef": {"name": "smollm2"}}, MODEL_RULE),
    _rule("an engine without an image is refused", leave_out(ENGINE, "spec.image"), IMAGE_RULE),
    _rule("a PyTorch server without an image is refused", leave_out(SERVER, "spec.image"), IMAGE_RULE),
    _rule("an image for runtime Transformers is refused", {**SPEC, "image": "vllm:1"}, IMAGE_RULE),
    _rule("a PyTorch server that is not served is refused", leave_out(SERVER, "spec.serving"), SERVING_RULE),
    _rule("a Transformers server that is not served is refused", leave_out(SPEC, "spec.serving"), SERVING_RULE),
    _rule("a build of a PyTorch server is refused", {**SERVER, "build": {}}, BUILD_RULE),
    _rule("a conversion for a PyTorch server is refused", {**SERVER, "convert": {}}, BUILD_RULE),
    _rule("a GPU for runtime Transformers is refused", {**SPEC, "gpu": {"perNode": 1}}, GPU_RULE),
    _rule("parallelism of runtime Transformers is refused", {**SPEC, "parallelism": {"tensor": 2}}, GPU_RULE),
    _rule("limits of runtime Transformers are refused", {**SPEC, "limits": {"maxBatchSize": 2}}, GPU_RULE),
    _rule("a version of runtime Transformers is refused", {**SPEC, "imageVersion": "1.2.1"}, GPU_RULE),
    _rule("an engine on a CPU is refused", {**ENGINE, "device": "CPU"}, DEVICE_RULE),
    _rule("a PyTorch server on a CPU is refused", {**SERVER, "device": "CPU"}, DEVICE_RULE),
    _rule(
        "a source for runtime Transformers is refused",
        {**leave_out(SPEC, "spec.modelRef"), "source": ENGINE["source"]},
        SOURCE_RUNTIME_RULE,
    ),
    broken_rule("a source of no kind is refused", put(ENGINE, "spec.source", {}), "spec.source", SOURCE_RULE),
    broken_rule(
        "weights quantized in two ways are refused",
        put(ENGINE, "spec.convert.weightOnly", "INT8"),
        "spec.convert",
        CONVERT_RULE,
    ),
    *pod_rules("spec.podTemplate", SPEC),
    *pod_rules("spec.serving.podTemplate", SPEC, OF_SERVER),
]
REJECTIONS = [*rejections(FIELDS, REQUIRED), *BROKEN_RULES]
ACCEPTANCES = [
    *acceptances(FIELDS),
    Acceptance("a name of 40 characters is accepted", SPEC, "a" * 40),
    Acceptance("the least that can be asked for is accepted", MINIMAL),
    Acceptance("everything that an engine may have is accepted", ENGINE),
    Acceptance("an engine that is built only is accepted", BUILT_ONLY),
    Acceptance(
        "an engine of a QuantizedModel is accepted", {**leave_out(BUILT_ONLY, "spec.source"), "modelRef": {"name": "a"}}
    ),
    Acceptance("a PyTorch server is accepted", SERVER),
    Acceptance(
        "a PyTorch server of a source is accepted",
        {**leave_out(SERVER, "spec.modelRef"), "source": ENGINE["source"]},
    ),
    Acceptance("options of any depth are accepted", put(SERVER, "spec.serving.options", {"a": {"b": [{"c": 1.5}]}})),
]


@pytest.mark.parametrize("case", REJECTIONS, ids=lambda case: case.id)
def test_refused(api: ApiServer, case: Rejection) -> None:
    assert_refused(api, ENGINE_BUILD, case)


@pytest.mark.parametrize("case", ACCEPTANCES, ids=lambda case: case.id)
def test_accepted(api: ApiServer, case: Acceptance) -> None:
    assert_accepted(api, ENGINE_BUILD, case)


def test_every_bound_and_rule_has_a_rejected_case(api: ApiServer) -> None:
    assert uncovered(api, ENGINE_BUILD, REJECTIONS) == []


def test_every_bounded_field_has_an_accepted_case(api: ApiServer) -> None:
    assert unaccepted(api, ENGINE_BUILD, FIELDS) == []


def test_every_field_of_the_spec_is_bounded(api: ApiServer) -> None:
    assert list(unbounded(spec_schema(api, ENGINE_BUILD), "spec")) == []
