"""Servers whose replica is several pods, each on a node of its own: a LeaderWorkerSet; called by enginebuild's target.

Every pod runs the launcher; the LeaderWorkerSet controller tells each its place in the environment. The leader answers.
"""

from __future__ import annotations

import re

from trtllm_api.digest import digest_of, short
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.engine_server import DesiredEngineServer, server_template, worker_template
from trtllm_operator.manifests.identity import KUEUE_LABELS, ChildStage, Owner, metadata, selector
from trtllm_operator.manifests.pod import Apart
from trtllm_operator.manifests.server import BYTES_ANNOTATION, serving_of, stamped

API_VERSION = "leaderworkerset.x-k8s.io/v1"
KIND = "LeaderWorkerSet"
NAME_LABEL = "leaderworkerset.sigs.k8s.io/name"
"""The name of the LeaderWorkerSet, on all of its pods; the controller sets it."""
GROUP_LABEL = "leaderworkerset.sigs.k8s.io/group-key"
"""The same on all pods of a group; the controller sets it."""
TEMPLATE_ANNOTATION = "trtllm.dev/template"
"""Annotation of LeaderWorkerSet and pods: the templates that they were made from; it tells the newest pods."""
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,37}[a-z0-9])?")
"""A DNS label, short enough for what the controller and Kueue append."""


def group_name(owner: Owner) -> str:
    """Name of the LeaderWorkerSet and of its own headless Service, which must not be the Service for clients."""
    name = f"{owner.name}-servers"
    if _NAME.fullmatch(name):
        return name
    kept = owner.name.replace(".", "-")[:20].strip("-")
    return f"eb-{kept}-{short(digest_of(owner.name), 6)}-servers"


def leader_worker_set(plan: DesiredEngineServer) -> Manifest:
    """The servers; a group whose pod dies is made anew as a whole, for its ranks cannot go on without one of them."""
    serving = serving_of(plan.spec)
    apart = Apart(selector(plan.owner, ChildStage.SERVE), (GROUP_LABEL,))
    leader, worker = server_template(plan, apart), worker_template(plan, apart)
    made_from = short(digest_of({"leader": leader, "worker": worker, "size": plan.nodes}))
    for template in (leader, worker):
        template["metadata"]["annotations"][TEMPLATE_ANNOTATION] = made_from
        for label in KUEUE_LABELS:
            # Kueue sets them on the pods itself; up to 0.17 it never admits a group whose pods have them already
            template["metadata"]["labels"].pop(label, None)
    desired: Manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata(plan.owner, ChildStage.SERVE, group_name(plan.owner), serving.pod_template),
        "spec": {
            "replicas": serving.replicas,
            # workers may load while the leader waits for them: none of them is ready alone
            "startupPolicy": "LeaderCreated",
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "leaderWorkerTemplate": {
                "size": plan.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": leader,
                "workerTemplate": worker,
            },
        },
    }
    return stamped(desired, {BYTES_ANNOTATION: str(plan.artifact_bytes), TEMPLATE_ANNOTATION: made_from})
