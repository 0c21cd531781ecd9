"""Identity of an engine as asked for: two resources with the same digest share one."""

from __future__ import annotations

from trtllm_api.buildoptions import Build, Convert
from trtllm_api.digest import digest_of
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import EnginePlan
from trtllm_operator.enginebuild.checkpoint import Subject
from trtllm_operator.enginebuild.observed import Observed
from trtllm_planner.commands.build import engine_node_size
from trtllm_planner.spec_question import decided_limits
from trtllm_planner.tensorrt_llm.versions import image_info


def engine_inputs(observed: Observed, spec: EngineBuildSpec, subject: Subject, plan: EnginePlan) -> dict[str, object]:
    """Everything that changes the engine's bytes and is known before it is built.

    How it is built (GPUs, workers, timing cache) is no part of it, and the builder's own image is none.
    """
    build = (spec.build or Build()).model_copy(update={"gpus": None, "workers": None, "timing_cache": True})
    node_size = engine_node_size(plan.tensor * plan.pipeline * plan.context, plan.gpus_per_node)
    return {
        "namespace": observed.owner.namespace,
        "claim": subject.store,
        "model": subject.digest,
        "image": image_identity(spec),
        "product": plan.product,
        "computeCapability": plan.compute_capability,
        "parallelism": {
            "tensor": plan.tensor,
            "pipeline": plan.pipeline,
            "context": plan.context,
            "moeTensor": plan.moe_tensor,
            "moeExpert": plan.moe_expert,
        },
        "limits": decided_limits(spec, subject.facts).to_wire(),
        "convert": None if subject.engine_format else (spec.convert or Convert()).to_wire(),
        "build": build.to_wire(),
        **({"nodeSize": node_size} if node_size is not None else {}),
    }


def engine_digest(inputs: dict[str, object]) -> str:
    """Digest of engine_inputs."""
    return digest_of(inputs)


def image_identity(spec: EngineBuildSpec) -> str:
    """The image by its digest where it is pinned, else its TensorRT-LLM version, else its name."""
    reference = spec.image or ""
    _, pinned, digest = reference.partition("@")
    if pinned:
        return digest
    version = image_info(reference, spec.image_version).version
    return reference if version is None else str(version)
