"""Reads ModelFacts from config.json and the safetensors headers, in milliseconds and without torch."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trtllm_api.facts import CheckpointFacts, Details, ModelFacts
from trtllm_builder.checkpoint_files import Checkpoint
from trtllm_builder.header_names import in_draft, in_tower
from trtllm_builder.logical_shapes import Linears, is_companion, linears_of
from trtllm_builder.safetensors_header import TensorHeader
from trtllm_planner.model_config.custom_code import own_tokenizer
from trtllm_planner.model_config.facts import details_from_config, dimensions
from trtllm_planner.model_config.language_model import alike
from trtllm_planner.model_config.section import Section, whole
from trtllm_planner.model_config.shapes import Shape, folded
from trtllm_planner.model_config.weight_formats import WeightFormats, weight_formats
from trtllm_planner.tensorrt_llm.versions import Algorithm

_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F8_E4M3": "float8_e4m3fn"}
_COMPUTED_WITH = frozenset({"BF16", "F16", "F32"})
TENSORRT_LLM = "tensorrt_llm"
"""Method of a checkpoint that is divided into ranks, quantized or not."""
_MODEL = re.compile(r"(For[A-Z]|LMHeadModel).*$")
_NOT_LINEAR = re.compile(r"(embed|wte|wpe|norm|ln_|layernorm|rotary|conv)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_SHORT = 256
"""Most characters of the API's ShortText."""


@dataclass
class _Counted:
    """Parameters by the part of the model. Scales do not count, and packed weights count unpacked."""

    model: int = 0
    towers: int = 0
    drafts: int = 0
    shapes: Counter[Shape] = field(default_factory=Counter)


def model_facts(checkpoint: Checkpoint) -> ModelFacts:
    """Facts about the checkpoint."""
    config = checkpoint.config
    text = Section(config, "") if checkpoint.is_ranks else whole(config).text()
    sizes = dimensions(text, alike(text))
    details = _details(checkpoint)
    counted = _count(checkpoint, details.checkpoint, sizes["layers"], sizes["hidden_size"])
    shapes, others = ((), 0) if checkpoint.is_ranks else folded(counted.shapes)
    architecture = str(config["architecture"] if checkpoint.is_ranks else config["architectures"][0])
    if checkpoint.is_ranks:
        sizes["experts"] = _number(_moe(config), "num_experts")
    tensors = checkpoint.tensors
    embeddings = any("embed_tokens" in name or name.endswith("wte.weight") for name in tensors)
    head = any(name.endswith("lm_head.weight") for name in tensors)
    said = next((part.flag("tie_word_embeddings") for part in (text, whole(config)) if _says_tied(part)), None)
    quantized = details.checkpoint
    return ModelFacts(
        architecture=architecture[:_SHORT],
        model_type=str(config.get("model_type") or _MODEL.sub("", architecture).lower())[:_SHORT],
        parameters=counted.model + counted.towers,
        bytes=checkpoint.weight_bytes,
        dtype=_dtype(checkpoint, quantized, text)[:_SHORT],
        tied_embeddings=said if said is not None else embeddings and not head,
        chat_template=bool(checkpoint.tokenizer_config.get("chat_template"))
        or (checkpoint.directory / "chat_template.jinja").exists(),
        custom_code=bool(config.get("auto_map") or checkpoint.tokenizer_config.get("auto_map")),
        quantization=quantized.method if quantized is not None else None,
        details=details.model_copy(
            update={
                "tower_parameters": counted.towers or None,
                "draft_parameters": counted.drafts or None,
                "other_linears": others or None,
                "own_tokenizer": own_tokenizer(checkpoint.tokenizer_config),
            }
        ),
        linears=shapes,
        **sizes,
    )


def _says_tied(part: Section) -> bool:
    return isinstance(part.values.get("tie_word_embeddings"), bool)


def _details(checkpoint: Checkpoint) -> Details:
    """Details of the model, from the fields that this kind of checkpoint has."""
    config = checkpoint.config
    if not checkpoint.is_ranks:
        return details_from_config(config, checkpoint.beside)
    found = config.get("quantization")
    own: dict[str, Any] = found if isinstance(found, dict) else {}
    algorithm, kv_cache = own.get("quant_algo"), own.get("kv_cache_quant_algo")
    return Details(
        experts_per_token=_number(_moe(config), "top_k") or None,
        checkpoint=CheckpointFacts(
            method=TENSORRT_LLM,
            algorithm=str(algorithm)[:_SHORT] if algorithm else None,
            group_size=_number(own, "group_size") or None,
            symmetric=not own.get("has_zero_point"),
            kv_cache=str(kv_cache)[:_SHORT] if kv_cache else None,
        ),
    )


def _moe(config: dict[str, Any]) -> dict[str, Any]:
    """Fields about experts in the configuration of a checkpoint of ranks."""
    found = config.get("moe")
    return found if isinstance(found, dict) else {}


def _dtype(checkpoint: Checkpoint, quantized: CheckpointFacts | None, text: Section) -> str:
    """Data type of most weights; for packed weights, the type that they are computed in."""
    sizes = Counter[str]()
    for tensor in checkpoint.tensors.values():
        sizes[tensor.dtype] += tensor.bytes
    main = sizes.most_common(1)[0][0]
    if quantized is not None and main not in _DTYPES:
        declared = text.field("torch_dtype") or text.field("dtype")
        plain = [dtype for dtype, _ in sizes.most_common() if dtype in _COMPUTED_WITH]
        main = str(declared) if declared else plain[0] if plain else main
    return _DTYPES.get(main, main)


def _count(checkpoint: Checkpoint, quantized: CheckpointFacts | None, layers: int, hidden: int) -> _Counted:
    found = _Counted()
    if checkpoint.is_ranks:
        found.model = sum(math.prod(tensor.shape) for tensor in checkpoint.tensors.values())
        return found
    formats = weight_formats(checkpoint.config, checkpoint.beside)
    for name, tensor, linears in _tensors(checkpoint, quantized, hidden):
        numbers = math.prod(tensor.shape)
        if linears is not None:
            numbers = linears.outputs * linears.inputs * linears.count
        if in_tower(name):
            found.towers += numbers
        elif in_draft(name, layers):
            found.drafts += numbers
        else:
            found.model += numbers
            if linears is not None and not _NOT_LINEAR.search(name):
                own = _own_format(linears.module, tensor, formats)
                shape = (_NUMBER.sub("*", linears.module)[:_SHORT], linears.outputs, linears.inputs, own)
                found.shapes[shape] += linears.count
    return found


def _tensors(
    checkpoint: Checkpoint, quantized: CheckpointFacts | None, hidden: int
) -> Iterator[tuple[str, TensorHeader, Linears | None]]:
    """Tensors without the scales of a quantized checkpoint."""
    for name, tensor in checkpoint.tensors.items():
        linears = linears_of(name, tensor, checkpoint.config, quantized, hidden)
        if linears is not None or quantized is None or not is_companion(name):
            yield name, tensor, linears


def _own_format(module: str, tensor: TensorHeader, formats: WeightFormats) -> str | None:
    """Format of the module if it differs from the checkpoint's. The data type shows whether it is quantized at all."""
    checkpoint = formats.checkpoint
    if checkpoint is None:
        return None
    found = Algorithm.NONE if tensor.dtype in _COMPUTED_WITH else formats.of(module)
    return None if found is None or found == checkpoint.algorithm else str(found)


def _number(config: dict[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0
