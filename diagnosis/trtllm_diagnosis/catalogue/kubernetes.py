"""Words about pods in `kubectl describe`, `kubectl get events` and controllers' logs, K1 to K6 of docs/failures.md.

ended.py and waiting.py read the objects themselves and say more; these are for texts.
"""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier

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
        "K4d",
        Reason.IMAGE_PULL_FAILED,
        "the node has no room for the image",
        (
            Pattern(
                "no space left on device",
                r"^(?=.*(?:extract layer|pull image|unpack image)).*No space left on device",
            ),
        ),
        "The image cannot be pulled: the node's disk is full.",
        "Free the node's disk (unused images), or give it a larger one; a larger claim does not help.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K4",
        Reason.IMAGE_PULL_FAILED,
        "the image cannot be pulled",
        (
            Pattern("failed to pull image", r'Failed to pull image "(?P<image>[^"]+)": (?P<why>.+)'),
            Pattern("back-off pulling image", r'Back-off pulling image "(?P<image>[^"]+)"'),
        ),
        "The image[[ {image}]] cannot be pulled[[: {why}]].",
        "Check the name and the tag, the pull Secret, and that the node reaches the registry.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K4b",
        Reason.IMAGE_PULL_FAILED,
        "a status that only says that the image cannot be pulled",
        (Pattern("imagepullbackoff"), Pattern("errimagepull"), Pattern("invalidimagename")),
        "The image cannot be pulled.",
        "Check the name and the tag, the pull Secret, and that the node reaches the registry.",
        seen=Seen.ANYWHERE,
        tier=Tier.VAGUE,
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
        "the node evicted the pod",
        (Pattern("low on resource", r"low on resource: (?P<what>memory|inodes|pids|nodefs|imagefs)"),),
        "The node evicted the pod[[: it was short of {what}]].",
        "Raise podTemplate.resources.requests to what the pod really uses, or give the node more room.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K6b",
        Reason.EVICTED,
        "a status that only says that the pod was evicted",
        (Pattern("evicted", r"\bEvicted\b.{0,40}\bkubelet\b|Reason:\s+Evicted"),),
        "The node evicted the pod.",
        "See the pod's message: it names what the node was short of. Raise podTemplate.resources.requests to what the "
        "pod uses.",
        seen=Seen.ANYWHERE,
        tier=Tier.VAGUE,
    ),
    Entry(
        "K7",
        Reason.POD_REFUSED,
        "the namespace's Pod Security",
        (Pattern("violates podsecurity", r'violates PodSecurity "(?P<policy>[^"]+)":? ?(?P<why>.+)?'),),
        "The namespace's Pod Security ({policy}) forbids the pod[[: {why}]].",
        "Label the namespace with the level that the pod needs (pod-security.kubernetes.io/enforce), or take what it "
        "forbids out of podTemplate.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K8",
        Reason.POD_REFUSED,
        "the namespace's quota",
        (
            Pattern(
                "exceeded quota",
                r"exceeded quota: (?P<quota>[\w.-]+), requested: (?P<asked>\S+), used: (?P<used>\S+), "
                r"limited: (?P<limit>\S+)",
            ),
            Pattern("failed quota", r"failed quota: (?P<quota>[\w.-]+): (?P<why>must specify .+)"),
        ),
        "The quota {quota} of the namespace refuses the pod[[: it asks for {asked}, {used} is used]][[ of {limit}]]"
        "[[: {why}]].",
        "Raise the quota, free what others use, or ask for less.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K9",
        Reason.POD_REFUSED,
        "an admission webhook or policy refuses the pod",
        (
            Pattern("denied the request", r'admission webhook "(?P<hook>[^"]+)" denied the request:? ?(?P<why>.+)?'),
            Pattern(
                "denied request", r"ValidatingAdmissionPolicy '(?P<hook>[^']+)'.{0,120}denied request:? ?(?P<why>.+)?"
            ),
        ),
        "The cluster's policy {hook} refuses the pod[[: {why}]].",
        "Change what it refuses, or ask whoever owns the policy for an exception.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K10",
        Reason.API_SERVER_ERROR,
        "an admission webhook does not answer",
        (Pattern("failed calling webhook", r'failed calling webhook "(?P<hook>[^"]+)": (?P<why>.+)'),),
        "No pod can be created: the admission webhook {hook} does not answer ({why}).",
        "See the pods and the Service behind that webhook; its owner may set failurePolicy: Ignore.",
        seen=Seen.ANYWHERE,
    ),
    Entry(
        "K11",
        Reason.POD_REFUSED,
        "the API server refuses the pod",
        (
            Pattern("is forbidden:", r'\bpods? "[^"]+" is forbidden: (?P<why>.+)'),
            Pattern("error creating:", r"FailedCreate\b.{0,160}Error creating: (?P<why>.+)"),
        ),
        "The API server refuses to create the pod: {why}.",
        "Follow its words: a limit range, a priority class or a service account of the namespace is at fault.",
        seen=Seen.ANYWHERE,
        tier=Tier.VAGUE,
    ),
)
"""Entries whose texts come from Kubernetes."""
