"""What `kubectl describe`, `kubectl get events` and controllers' logs say of pods, K1 to K6 of docs/failures.md.

ended.py and waiting.py read the objects themselves and say more; these are for texts.
"""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen

_KIND: Final = r"(?P<kind>secret|configmap|serviceaccount|persistentvolumeclaim)"

KUBERNETES: Final = (
    Entry(
        "K1",
        Reason.UNSCHEDULABLE,
        "no node takes the pod",
        (
            Pattern(
                "nodes are available:",
                r"\d+/(?P<nodes>\d+) nodes are available: (?P<why>(?:(?!\.? preemption:|\.?$).){1,400})",
            ),
            Pattern("unbound immediate persistentvolumeclaims", r"pod has (?P<why>unbound immediate \w+)"),
            Pattern("no nodes available to schedule pods"),
        ),
        "No node takes the pod[[: of {nodes} nodes, {why}]].",
        "Lower what the pod asks for, or change its selectors and tolerations, or add nodes that fit.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K2",
        Reason.VOLUME_NOT_MOUNTED,
        "a volume cannot be mounted",
        (
            Pattern(
                "mountvolume.setup failed", r'MountVolume\.SetUp failed for volume "(?P<volume>[^"]+)" ?: (?P<why>.+)'
            ),
            Pattern("attachvolume", r'AttachVolume\.\w+ failed for volume "(?P<volume>[^"]+)" ?: (?P<why>.+)'),
            Pattern("multi-attach error", r'Multi-Attach error for volume "(?P<volume>[^"]+)" (?P<why>.+)'),
            Pattern("unable to attach or mount volumes", r"unmounted volumes=\[(?P<volume>[^\]]+)\]"),
        ),
        "A volume[[ ({volume})]] cannot be attached or mounted[[: {why}]].",
        "Create what the volume refers to; for a claim see the storage driver's log, or use ReadWriteMany storage.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K3",
        Reason.CONTAINER_CONFIG_INVALID,
        "a Secret, ConfigMap or key is not there",
        (
            Pattern("not found", rf'(?:Error: |CreateContainerConfigError.*?){_KIND} "(?P<name>[^"]+)" not found'),
            Pattern("couldn't find key", r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<name>\S+)"),
            Pattern("createcontainerconfigerror", r"CreateContainerConfigError"),
        ),
        "The container cannot be created[[: {kind} {name}]][[ has no key {key}]].",
        "Create the object or the key in the pod's namespace, or name one that exists.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K4",
        Reason.IMAGE_PULL_FAILED,
        "the image cannot be pulled",
        (
            Pattern("failed to pull image", r'Failed to pull image "(?P<image>[^"]+)": (?P<why>.+)'),
            Pattern("back-off pulling image", r'Back-off pulling image "(?P<image>[^"]+)"'),
            Pattern("imagepullbackoff", r"ImagePullBackOff"),
            Pattern("errimagepull", r"ErrImagePull"),
            Pattern("invalidimagename", r"InvalidImageName"),
        ),
        "The image[[ {image}]] cannot be pulled[[: {why}]].",
        "Check the name and the tag, the pull Secret, and that the node reaches the registry.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K5",
        Reason.POD_NETWORK_FAILED,
        "the pod's network cannot be set up",
        (
            Pattern("create pod sandbox", r"Failed to create pod sandbox: (?P<why>.+)"),
            Pattern("failedcreatepodsandbox", r"FailedCreatePodSandBox"),
        ),
        "The node cannot set up the pod's network[[: {why}]].",
        "See the log of the cluster's network plugin on that node.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K6",
        Reason.EVICTED,
        "the node threw the pod out",
        (
            Pattern("low on resource", r"low on resource: (?P<what>memory|inodes|pids|nodefs|imagefs)"),
            Pattern("evicted", r"\bEvicted\b.{0,40}\bkubelet\b|Reason:\s+Evicted"),
        ),
        "The node threw the pod out[[: it was short of {what}]].",
        "Raise podTemplate.resources.requests to what the pod really uses, or give the node more room.",
        seen=Seen.ANYWHERE,
    ),
)
"""Entries whose texts come from Kubernetes."""
