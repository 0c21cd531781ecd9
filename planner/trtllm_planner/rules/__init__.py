"""Preflight rules about engines, in the order in which a user should mend things; judged by operator and CLI.

What cannot be mended by another layout comes first (image, model, checkpoint, GPU), then the layout, then what it must
hold, then files and pods.
"""

from __future__ import annotations

from trtllm_api.verdict import Rule
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

ENGINE_RULES: tuple[Rule[EngineQuestion], ...] = (
    image_runtime,
    architecture_supported,
    checkpoint_recognised,
    file_integrity,
    algorithm_vs_gpu,
    feature_combinations,
    options_of_version,
    extra_arguments,
    lora,
    heads_and_layers,
    moe,
    shard_alignment,
    world_size,
    lengths,
    serving_within_engine,
    gpu_memory,
    engine_runtime,
    calibration_and_host_memory,
    pod_hygiene,
)
FIXED_RULES: tuple[Rule[EngineQuestion], ...] = (
    image_runtime,
    architecture_supported,
    checkpoint_recognised,
    file_integrity,
    algorithm_vs_gpu,
    feature_combinations,
    options_of_version,
    extra_arguments,
    lora,
    moe,
    lengths,
    serving_within_engine,
    calibration_and_host_memory,
)
"""Those whose answer, asked without a GPU, no layout changes; moe for the expert parallelism that is asked for."""
PLACE_RULES: tuple[Rule[EngineQuestion], ...] = (
    algorithm_vs_gpu,
    feature_combinations,
    heads_and_layers,
    world_size,
    gpu_memory,
    engine_runtime,
    pod_hygiene,
)
"""Those whose answer depends on the kind of GPU or on how many a node has."""
