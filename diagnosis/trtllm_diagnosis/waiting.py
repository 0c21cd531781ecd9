"""Diagnosis of a pod that does not run yet: `diagnose_waiting`, pure over a Pod and its Events as dicts.

Called by the operator, also for servers, and by `trtllm diagnose`; ended.py asks for containers that never began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.model import Certainty, Diagnosis, shorten
from trtllm_diagnosis.pods import Object, as_list, as_map, statuses, words
from trtllm_diagnosis.scan import diagnose
from trtllm_diagnosis.scheduling import explain_unschedulable

REFUSED: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"}
)
"""Reasons of the kubelet for a container that could not be made or begun."""
_IMAGE: Final = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_MOUNT: Final = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}
_GOES_ON: Final = {"Pulling", "Pulled", "Created", "Started"}
"""Whatever was in the way before is not any more."""
_QUOTED: Final = 200
_MISSING: Final = re.compile(
    r"(?P<kind>secret|configmap|serviceaccount|persistentvolumeclaim) \"(?P<name>[^\"]+)\" not found", re.IGNORECASE
)
_KEY: Final = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<name>\S+)", re.IGNORECASE)
_NO_KEY: Final = re.compile(r"references non-existent (?P<kind>secret|config) key: (?P<key>\S+)")


def diagnose_waiting(pod: Object, events: Iterable[Object] = ()) -> Diagnosis | None:
    """Obstacle of a pod that does not run yet; None when nothing is known. Its events come in any order."""
    if as_map(pod.get("status")).get("phase") not in {None, "Pending"}:
        return None
    return _by_container(pod) or _by_condition(pod) or _by_events(events)


def _by_container(pod: Object) -> Diagnosis | None:
    for status in statuses(pod):
        waiting = as_map(as_map(status.get("state")).get("waiting"))
        reason, said = words(waiting, "reason"), words(waiting, "message")
        if reason in _IMAGE or reason.startswith("Registry") or reason == "SignatureValidationFailed":
            return _explain_image_pull(reason, said, str(status.get("image") or "the image"))
        if reason in REFUSED:
            return explain_refusal(reason, said)
    return None


def _by_condition(pod: Object) -> Diagnosis | None:
    for condition in as_list(as_map(pod.get("status")).get("conditions")):
        unscheduled = condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        if unscheduled and condition.get("reason") in {"Unschedulable", "SchedulerError"}:
            return explain_unschedulable(words(condition, "message"))
    return None


def _by_events(events: Iterable[Object]) -> Diagnosis | None:
    """The newest that tells: of a volume or a network, the pod's own status says nothing."""
    for event in newest_first(events):
        reason, said = words(event, "reason"), words(event, "message", "note")
        if reason in _GOES_ON:
            return None
        if reason in _MOUNT:
            return _explain_mount(said)
        if reason == "FailedCreatePodSandBox":
            message = f"The node cannot set up the pod's network: {shorten(said, _QUOTED)}"
            remedy = "See the log of the cluster's network plugin on that node."
            return diagnosis("sandbox", Reason.POD_NETWORK_FAILED, Certainty.CERTAIN, message, remedy, evidence=said)
    return None


def newest_first(events: Iterable[Object]) -> Iterator[Object]:
    """Events, sorted: the one that was seen last comes first."""
    yield from sorted(events, key=_when, reverse=True)


def _when(event: Object) -> str:
    """When it was seen last; times of one form compare as texts."""
    series = as_map(event.get("series")).get("lastObservedTime")
    told = (event.get("lastTimestamp"), series, event.get("eventTime"), event.get("firstTimestamp"))
    return max((str(time)[:19] for time in told if time), default="")


def _explain_image_pull(reason: str, said: str, image: str) -> Diagnosis:
    """Not found, unauthorized, unreachable, or not an image's name at all."""
    low, quoted = said.lower(), f": {shorten(said, _QUOTED)}" if said else ""
    if reason == "InvalidImageName" or "invalid reference format" in low:
        message, remedy = f"{image!r} is not the name of an image", "Correct spec's image."
    elif re.search(r"unauthorized|authentication required|denied|forbidden|\b40[13]\b|no basic auth", low):
        message = f"the registry refuses access to {image} (or it does not exist)"
        remedy = "Name a pull Secret in podTemplate.imagePullSecrets that may read it."
    elif re.search(r"not found|manifest unknown|name unknown|does not exist|\b404\b|not present with pull policy", low):
        message, remedy = f"{image} does not exist in its registry or on the node", "Check the name and the tag."
    elif re.search(r"toomanyrequests|rate limit|\b429\b", low):
        message, remedy = f"the registry of {image} refuses more requests", "Authenticate, or use a mirror."
    elif re.search(r"no match for platform|exec format|no matching manifest", low):
        message, remedy = f"{image} is not there for this node's processor", "Use a nodeSelector on kubernetes.io/arch."
    elif "no space left" in low:
        message, remedy = f"the node has no room for {image}", "Free the node's disk, or give it a larger one."
    elif re.search(
        r"no such host|dial tcp|timeout|timed out|connection refused|i/o|x509|tls|unreachable|deadline|eof", low
    ):
        message = f"the registry of {image} cannot be reached from the node{quoted}"
        remedy = "Check DNS, proxy, certificates and the mirror of the node's container runtime."
    else:
        message, remedy = f"{image} cannot be pulled ({reason}){quoted}", "See the pod's events."
    message = f"The image cannot be pulled: {message.removesuffix('.')}."
    return diagnosis("image", Reason.IMAGE_PULL_FAILED, Certainty.CERTAIN, message, remedy, evidence=said or reason)


def explain_refusal(reason: str, said: str) -> Diagnosis:
    """A container that could not be made or begun: a reference, the image, or the GPU runtime is at fault."""
    missing, key = _MISSING.search(said), _KEY.search(said)
    if key is not None:
        message = f"{key['kind']} {key['name']} has no key {key['key']}."
        remedy = "Add the key, or name the one that it has."
    elif missing is not None:
        message = f"The {missing['kind']} {missing['name']} does not exist in the pod's namespace."
        remedy = "Create it there, or name one that exists."
    elif "runAsNonRoot" in said or "run as root" in said:
        message = "The image runs as root and the pod forbids that."
        remedy = "Set podTemplate.securityContext.runAsUser to a user that is not 0."
    elif re.search(r"nvidia-container-cli|nvidia.{0,200}(?:cuda>=|requirement|driver)", said):
        found = diagnose([said])
        if found is not None:
            return found
        message, remedy = f"The node's NVIDIA runtime refuses the container: {said}", "Check the node's driver."
        return diagnosis("gpuruntime", Reason.NO_GPU, Certainty.CERTAIN, message, remedy, evidence=said)
    elif re.search(r"executable file not found|no such file or directory|exec format error", said):
        found = diagnose([said])
        if found is not None and found.reason is Reason.IMAGE_MISMATCH:
            return found
        message, remedy = f"The container's command is not in the image: {said}", "Use the image that has it."
        return diagnosis("command", Reason.IMAGE_MISMATCH, Certainty.CERTAIN, message, remedy, evidence=said)
    else:
        message = f"The container cannot be created ({reason}): {said or 'the kubelet does not say why'}"
        remedy = "Compare the pod's references and security context with what is there."
    return diagnosis("config", Reason.CONTAINER_CONFIG_INVALID, Certainty.CERTAIN, message, remedy, evidence=said)


def _explain_mount(said: str) -> Diagnosis:
    volume = re.search(r"(?:for volume |volumes=\[|volume )\"?([\w.-]+)\"?", said)
    name = f" {volume[1]}" if volume else ""
    missing, key = _MISSING.search(said), _NO_KEY.search(said)
    if missing is not None:
        message = f"Volume{name} cannot be mounted: the {missing['kind']} {missing['name']} does not exist."
        remedy = "Create it in the pod's namespace, or name one that exists."
    elif key is not None:
        kind = "Secret" if key["kind"] == "secret" else "ConfigMap"
        message, remedy = f"Volume{name} cannot be mounted: its {kind} has no key {key['key']}.", "Add the key."
    elif re.search(r"multi-attach|already (?:exclusively )?attached|being used by", said, re.IGNORECASE):
        message = f"Volume{name} is attached to another node and can be attached to one only."
        remedy = "Use a ReadWriteMany claim, or keep the pods on one node."
    elif re.search(r"timed out|timeout|deadline", said, re.IGNORECASE):
        message = f"Volume{name} could not be attached or mounted in time."
        remedy = "See the storage driver's log and whether the volume is in the node's zone."
    else:
        message = f"Volume{name} cannot be mounted: {shorten(said, _QUOTED)}"
        remedy = "See the storage driver's log."
    return diagnosis("mount", Reason.VOLUME_NOT_MOUNTED, Certainty.CERTAIN, message, remedy, evidence=said)
