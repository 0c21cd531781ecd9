"""The builder Job and the immutable ConfigMap with its BuildRequest.

A Job is created once and never updated: whatever it depends on is in its name, so a change makes another Job.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from trtllm_api.contract import PERMANENT_EXIT_CODES, REQUEST_PATH, BuildRequest
from trtllm_api.digest import canonical_json
from trtllm_api.meta import PodTemplate
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import ChildStage, Owner, child_name, labels, metadata, selector
from trtllm_operator.manifests.pod import Apart, ConfigMapMount, DesiredPod, pod_template

CONTAINER = "builder"
REQUEST_ARGS = ("run", "--request", REQUEST_PATH)
BACKOFF_LIMIT = 2
"""Retries after a builder that died without saying that a retry is useless."""


@dataclass(frozen=True)
class DesiredJob:
    """One builder Job."""

    owner: Owner
    stage: ChildStage
    request: BuildRequest
    pod: DesiredPod
    settings: BuilderSettings
    user: PodTemplate
    retry: str = ""
    """Value of the user's retry annotation."""
    completions: int = 1
    """Pods that share the work, each on a node of its own; with several the Job is an Indexed one."""
    indexed: bool = False
    """An Indexed Job also of one pod: the builder reads JOB_COMPLETION_INDEX."""

    @property
    def is_indexed(self) -> bool:
        """Each pod has an index, and is retried for itself."""
        return self.indexed or self.completions > 1

    @property
    def name(self) -> str:
        """Name of the Job and of its ConfigMap."""
        depends_on = {
            "request": self.request.to_wire(),
            "image": self.settings.image,
            "env": [list(pair) for pair in self.settings.env],
            "secrets": [[s.name, s.secret, s.key] for s in self.pod.secret_env] + list(self.pod.env_from_secrets),
            "claims": [mount.claim for mount in self.pod.claims],
            "podTemplate": self.user.to_wire(),
            "retry": self.retry,
            **self._beyond_the_usual(),
        }
        return child_name(self.owner, self.stage, depends_on)

    def _beyond_the_usual(self) -> Manifest:
        """Parts of the name's hash that only some Jobs have; absent otherwise, so that they rename no other Job."""
        pod = self.pod
        found = {
            "podImage": pod.image,
            "gpu": [pod.gpu.product, pod.gpu.compute_capability] if pod.gpu else None,
            "gpus": pod.gpus,
            "sharedMemory": pod.shared_memory,
            "completions": self.completions if self.is_indexed else None,
        }
        return {key: value for key, value in found.items() if value is not None}


def request_config_map(plan: DesiredJob) -> Manifest:
    """The BuildRequest as a file."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(plan.owner, plan.stage, plan.name),
        "immutable": True,
        "data": {PurePosixPath(REQUEST_PATH).name: canonical_json(plan.request.to_wire())},
    }


def builder_job(plan: DesiredJob) -> Manifest:
    """The Job: retried when its pod is lost or dies, not when the builder says that a retry is useless."""
    request = PurePosixPath(REQUEST_PATH)
    pod = replace(
        plan.pod,
        files=(ConfigMapMount(plan.name, request.name, str(request.parent)), *plan.pod.files),
        # ranks of one engine are built where they are served: a node for each pod
        apart=Apart(selector(plan.owner, plan.stage)) if plan.completions > 1 else plan.pod.apart,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(plan.owner, plan.stage, plan.name, plan.user),
        "spec": {
            **_retries(plan),
            # two pods at once would write the same work directory
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": sorted(int(code) for code in PERMANENT_EXIT_CODES),
                        },
                    },
                ]
            },
            "template": pod_template(pod, plan.settings, plan.user, labels(plan.owner, plan.stage), "Never"),
        },
    }


def _retries(plan: DesiredJob) -> Manifest:
    """An index that failed for good ends the Job: the others would hold GPUs for an engine that lacks its ranks."""
    if not plan.is_indexed:
        return {"backoffLimit": BACKOFF_LIMIT}
    return {
        "completionMode": "Indexed",
        "completions": plan.completions,
        "parallelism": plan.completions,
        "backoffLimitPerIndex": BACKOFF_LIMIT,
        "maxFailedIndexes": 0,
    }
