"""Preflight rules about engines, in the order in which a user should fix things.

Problems that no layout fixes come first (image, model, checkpoint, GPU), then the layout, then its
memory, then files and pods.
"""

from __future__ import annotations

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Need, Rule
from trtllm_planner.question import EngineQuestion
from trtllm_planner.rules.artifacts import engine_runtime, file_integrity
from trtllm_planner.rules.capacity import calibration_and_host_memory, gpu_memory
from trtllm_planner.rules.checkpoints import checkpoint_recognised
from trtllm_planner.rules.commands import extra_arguments, lora, options_of_version
from trtllm_planner.rules.limits import lengths, serving_within_engine
from trtllm_planner.rules.options import feature_combinations
from trtllm_planner.rules.platform import (
    algorithm_vs_gpu,
    architecture_supported,
    image_runtime,
)
from trtllm_planner.rules.pods import pod_hygiene
from trtllm_planner.rules.shape import heads_and_layers, moe, shard_alignment, world_size

_LAYOUT, _GPU = frozenset({Need.LAYOUT}), frozenset({Need.GPU})
ENGINE_RULES: tuple[Rule[EngineQuestion], ...] = (
    Rule(image_runtime, (Reason.IMAGE_MISMATCH,)),
    Rule(
        architecture_supported,
        (Reason.ARCHITECTURE_NOT_SUPPORTED, Reason.CUSTOM_CODE_NOT_TRUSTED, Reason.ROPE_SCALING_NOT_SUPPORTED),
    ),
    Rule(checkpoint_recognised, (Reason.CHECKPOINT_NOT_SUPPORTED,)),
    Rule(file_integrity, (Reason.SOURCE_CORRUPT, Reason.SOURCE_INCOMPLETE, Reason.CHAT_TEMPLATE_MISSING)),
    Rule(algorithm_vs_gpu, (Reason.QUANTIZATION_NOT_SUPPORTED, Reason.GPU_NOT_SUPPORTED), _GPU),
    Rule(feature_combinations, (Reason.OPTIONS_CONFLICT,), _GPU),
    Rule(options_of_version, (Reason.INVALID_OPTIONS, Reason.OPTIONS_CONFLICT, Reason.ARCHITECTURE_NOT_SUPPORTED)),
    Rule(extra_arguments, (Reason.INVALID_OPTIONS,)),
    Rule(lora, (Reason.OPTIONS_CONFLICT,)),
    Rule(heads_and_layers, (Reason.HEADS_NOT_DIVISIBLE, Reason.PIPELINE_TOO_LONG), _LAYOUT | _GPU),
    Rule(moe, (Reason.EXPERT_PARALLELISM_INVALID, Reason.EXPERTS_NOT_DIVISIBLE)),
    Rule(shard_alignment, (Reason.SHARD_NOT_ALIGNED,), _LAYOUT),
    Rule(world_size, (Reason.WORLD_SIZE_MISMATCH, Reason.GPUS_IDLE, Reason.TENSOR_SPANS_NODES), _LAYOUT | _GPU),
    Rule(lengths, (Reason.LIMITS_INVALID,)),
    Rule(serving_within_engine, (Reason.SERVING_EXCEEDS_ENGINE,)),
    Rule(gpu_memory, (Reason.GPU_MEMORY_TOO_SMALL,), _LAYOUT | _GPU),
    Rule(engine_runtime, (Reason.ENGINE_INCOMPATIBLE, Reason.WORLD_SIZE_MISMATCH), _LAYOUT | _GPU),
    Rule(calibration_and_host_memory, (Reason.HOST_MEMORY_TOO_SMALL,)),
    Rule(pod_hygiene, (Reason.POD_UNSUITABLE,), _LAYOUT | _GPU),
)
FIXED_RULES = tuple(rule for rule in ENGINE_RULES if Need.LAYOUT not in rule.needs)
"""Rules whose answer does not depend on the layout, as long as the question has no GPU."""
PLACE_RULES = tuple(rule for rule in ENGINE_RULES if Need.GPU in rule.needs)
"""Rules whose answer depends on the kind of GPU, or on how many a node has."""
