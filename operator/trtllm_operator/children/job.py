"""The builder Job and the immutable ConfigMap with its BuildRequest; called by quantizedmodel.desired.

A Job is created once and never updated: whatever it depends on is in its name, so a change makes another Job.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from trtllm_api.contract import PERMANENT_EXIT_CODES, REQUEST_PATH, BuildRequest
from trtllm_api.digest import canonical_json
from trtllm_api.meta import PodTemplate
from trtllm_operator.children.identity import ChildStage, Owner, child_name, labels, metadata
from trtllm_operator.children.objects import Manifest
from trtllm_operator.children.pod import ConfigMapMount, PodPlan, pod_template
from trtllm_operator.children.settings import BuilderSettings

CONTAINER = "builder"
REQUEST_ARGS = ("run", "--request", REQUEST_PATH)
BACKOFF_LIMIT = 2
"""Retries after a builder that died without saying that a retry is useless."""


@dataclass(frozen=True)
class JobPlan:
    """One builder Job."""

    owner: Owner
    stage: ChildStage
    request: BuildRequest
    pod: PodPlan
    settings: BuilderSettings
    user: PodTemplate
    retry: str = ""
    """Value of the user's retry annotation."""

    @property
    def name(self) -> str:
        """Of the Job and of its ConfigMap."""
        depends_on = {
            "request": self.request.to_wire(),
            "image": self.settings.image,
            "env": [list(pair) for pair in self.settings.env],
            "secrets": [[s.name, s.secret, s.key] for s in self.pod.secret_env] + list(self.pod.env_from_secrets),
            "claims": [mount.claim for mount in self.pod.claims],
            "podTemplate": self.user.to_wire(),
            "retry": self.retry,
        }
        return child_name(self.owner, self.stage, depends_on)


def request_config_map(plan: JobPlan) -> Manifest:
    """The BuildRequest as a file."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(plan.owner, plan.stage, plan.name),
        "immutable": True,
        "data": {PurePosixPath(REQUEST_PATH).name: canonical_json(plan.request.to_wire())},
    }


def builder_job(plan: JobPlan) -> Manifest:
    """The Job: retried when its pod is lost or dies, not when the builder says that a retry is useless."""
    request = PurePosixPath(REQUEST_PATH)
    pod = PodPlan(
        container=plan.pod.container,
        args=plan.pod.args,
        device=plan.pod.device,
        resources=plan.pod.resources,
        claims=plan.pod.claims,
        config_maps=(ConfigMapMount(plan.name, request.name, str(request.parent)), *plan.pod.config_maps),
        secret_env=plan.pod.secret_env,
        env_from_secrets=plan.pod.env_from_secrets,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(plan.owner, plan.stage, plan.name),
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
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
