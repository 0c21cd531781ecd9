"""What only Kubernetes sees of a failed pod: `diagnose_container`, pure over a Pod, its Events and its Job as dicts.

The operator calls it for builder Jobs and for servers; scan.py reads what the container itself said last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from trtllm_api.diagnosis.entry import diagnosis
from trtllm_api.diagnosis.model import Certainty, Diagnosis
from trtllm_api.diagnosis.reasons import DiagnosisReason as Reason
from trtllm_api.diagnosis.scan import diagnose, with_memory
from trtllm_api.diagnosis.scheduling import explain_unschedulable

Object = Mapping[str, Any]

_IMAGE: Final = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CONFIG: Final = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
_EVENTS: Final = {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedScheduling", "Failed", "Evicted"}
_MISSING: Final = re.compile(
    r"(?P<kind>secret|configmap|serviceaccount|persistentvolumeclaim) \"(?P<name>[^\"]+)\" not found", re.IGNORECASE
)
_KEY: Final = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<name>\S+)", re.IGNORECASE)
_LOW: Final = re.compile(r"low on resource: (?P<what>\w[\w-]*)")
_USED: Final = re.compile(r"was using (?P<used>[\w.]+), request is (?P<request>[\w.]+)")


def diagnose_container(
    pod: Object,
    *,
    container: str | None = None,
    events: Iterable[Object] = (),
    job: Object | None = None,
    log: Iterable[str] = (),
    memory_peak: str | None = None,
) -> Diagnosis | None:
    """Why this pod failed or does not start; None when nothing is wrong.

    Without a container's name every container is looked at. Events are those of the pod, oldest first. The log is that
    of the crashed container; without it the termination message is read.
    """
    events = list(events)
    found = (
        _pod(pod)
        or _terminated(pod, container, list(log), memory_peak)
        or _waiting(pod, container)
        or _conditions(pod)
        or _from_events(pod, events)
    )
    deadline = _deadline(job) if job is not None else None
    if deadline is not None and (found is None or found.guessed or found.reason in {Reason.TERMINATED, Reason.UNKNOWN}):
        return deadline
    return found


def explain_image_pull(reason: str, said: str, image: str) -> Diagnosis:
    """Not found, unauthorized, unreachable, or not an image's name at all."""
    low = said.lower()
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
        message = f"the registry of {image} cannot be reached from the node"
        remedy = "Check DNS, proxy, certificates and the mirror of the node's container runtime."
    else:
        message, remedy = f"{image} cannot be pulled ({reason})", "See the pod's events."
    message = f"The image cannot be pulled: {message}."
    return diagnosis("image", Reason.IMAGE_PULL, Certainty.CERTAIN, message, remedy, evidence=said or reason)


def _pod(pod: Object) -> Diagnosis | None:
    """What the kubelet writes into the pod's own status."""
    status = _map(pod.get("status"))
    reason, said = str(status.get("reason") or ""), str(status.get("message") or "")
    if reason == "Evicted":
        return _evicted(said)
    if reason == "DeadlineExceeded":
        return _too_long(said)
    if reason in {"Preempting", "Preempted", "Terminated", "NodeShutdown", "NodeLost", "Shutdown"}:
        message = f"The node stopped or gave the pod's place away ({reason}): {said or 'it does not say why'}"
        return diagnosis("stopped", Reason.TERMINATED, Certainty.CERTAIN, message, "It can run again.", evidence=said)
    if (
        reason in {"UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity"}
        or "OutOf" in reason
    ):
        message = f"The node refused the pod ({reason}): {said or 'it does not say why'}"
        remedy = "It is scheduled again; check the device plugin if it repeats."
        return diagnosis("refused", Reason.UNSCHEDULABLE, Certainty.CERTAIN, message, remedy, evidence=said)
    return None


def _evicted(said: str) -> Diagnosis:
    low = _LOW.search(said)
    what = low["what"] if low else ""
    if what == "ephemeral-storage" or re.search(r"ephemeral|emptydir|disk", said, re.IGNORECASE):
        found = diagnose([said])
        if found is not None and found.reason is Reason.EPHEMERAL_STORAGE_FULL:
            return found
        what = what or "ephemeral-storage"
    used = _USED.search(said)
    numbers = f"; it used {used['used']} and had asked for {used['request']}" if used else ""
    message = f"The node threw the pod out: it was short of {what or 'resources'}{numbers}."
    remedy = "Raise podTemplate.resources.requests to what the pod really uses, or give the node more room."
    return diagnosis("evicted", Reason.EVICTED, Certainty.CERTAIN, message, remedy, evidence=said)


def _terminated(pod: Object, name: str | None, log: list[str], peak: str | None) -> Diagnosis | None:
    for status in _statuses(pod, name):
        end = _map(_map(status.get("state")).get("terminated")) or _map(_map(status.get("lastState")).get("terminated"))
        if not end or (end.get("exitCode") == 0 and end.get("reason") != "OOMKilled"):
            continue
        limit = _limit(pod, str(status.get("name")))
        if end.get("reason") == "OOMKilled":
            return _out_of_memory(str(status.get("name")), limit, peak)
        if end.get("reason") in _CONFIG or end.get("reason") == "ContainerCannotRun":
            return _config(str(end.get("reason")), str(end.get("message") or ""))
        code = end.get("exitCode")
        lines = log or str(end.get("message") or "").splitlines()
        found = diagnose(lines, code if isinstance(code, int) else None, memory_limit=limit, memory_peak=peak)
        if found is None or (found.reason is Reason.UNKNOWN and not lines):
            return _loop(status, code)
        return found
    return None


def _out_of_memory(name: str, limit: str | None, peak: str | None) -> Diagnosis:
    if limit:
        message = f"Container {name} was killed at its memory limit."
        remedy = f"Set podTemplate.resources.limits.memory above {limit}, or calibrate on shorter sequences."
    else:
        message = f"Container {name} was killed because the node ran out of memory."
        remedy = "Set podTemplate.resources.requests.memory to what the pod really uses."
    found = diagnosis("oomkilled", Reason.HOST_OUT_OF_MEMORY, Certainty.CERTAIN, message, remedy, evidence="OOMKilled")
    return with_memory(found, limit, peak)


def _waiting(pod: Object, name: str | None) -> Diagnosis | None:
    for status in _statuses(pod, name):
        waiting = _map(_map(status.get("state")).get("waiting"))
        reason, said = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason in _IMAGE or reason.startswith("Registry") or reason == "SignatureValidationFailed":
            return explain_image_pull(reason, said, str(status.get("image") or "the image"))
        if reason in _CONFIG:
            return _config(reason, said)
        if reason == "CrashLoopBackOff":
            return _loop(status, None)
    return None


def _loop(status: Object, code: object) -> Diagnosis:
    ended = f" with exit code {code}" if code is not None else ""
    message = f"Container {status.get('name')} ends{ended} again and again ({status.get('restartCount', 0)} restarts)."
    remedy = "See the log of its previous run: kubectl logs --previous."
    return diagnosis("crashloop", Reason.CRASH_LOOP, Certainty.CERTAIN, message, remedy, evidence="CrashLoopBackOff")


def _config(reason: str, said: str) -> Diagnosis:
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
    elif re.search(r"nvidia-container-cli|nvidia.*(?:cuda>=|requirement|driver)", said):
        found = diagnose([said])
        if found is not None:
            return found
        message, remedy = f"The node's NVIDIA runtime refuses the container: {said}", "Check the node's driver."
        return diagnosis("gpuruntime", Reason.NO_GPU, Certainty.CERTAIN, message, remedy, evidence=said)
    elif re.search(r"executable file not found|no such file or directory|exec format error", said):
        found = diagnose([said])
        if found is not None and found.reason is Reason.WRONG_IMAGE:
            return found
        message, remedy = f"The container's command is not in the image: {said}", "Use the image that has it."
        return diagnosis("command", Reason.WRONG_IMAGE, Certainty.CERTAIN, message, remedy, evidence=said)
    else:
        message = f"The container cannot be created ({reason}): {said or 'the kubelet does not say why'}"
        remedy = "Compare the pod's references and security context with what is there."
    return diagnosis("config", Reason.CONTAINER_CONFIG, Certainty.CERTAIN, message, remedy, evidence=said)


def _conditions(pod: Object) -> Diagnosis | None:
    for condition in _list(_map(pod.get("status")).get("conditions")):
        unscheduled = condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        if unscheduled and condition.get("reason") in {"Unschedulable", "SchedulerError"}:
            return explain_unschedulable(str(condition.get("message") or ""))
    return None


def _from_events(pod: Object, events: list[Object]) -> Diagnosis | None:
    """The newest telling event; probes count last, for a restarted container may have better ones."""
    if _map(pod.get("status")).get("phase") == "Succeeded":
        return None
    running = _map(pod.get("status")).get("phase") == "Running"
    for event in reversed(events):
        reason, said = str(event.get("reason") or ""), str(event.get("message") or event.get("note") or "")
        if reason in {"FailedMount", "FailedAttachVolume", "FailedMapVolume"} and not running:
            return _mount(said)
        if reason == "FailedScheduling" and not running:
            return explain_unschedulable(said)
        if reason == "Evicted":
            return _evicted(said)
        if reason == "Failed" and "image" in said.lower() and not running:
            image = re.search(r'image "([^"]+)"', said)
            return explain_image_pull("ErrImagePull", said, image[1] if image else "the image")
        if reason == "Killing" and "probe" in said:
            return diagnose([said])
    return None


def _mount(said: str) -> Diagnosis:
    volume = re.search(r"(?:for volume |volumes=\[|volume )\"?([\w.-]+)\"?", said)
    name = f" {volume[1]}" if volume else ""
    missing = _MISSING.search(said)
    if missing is not None:
        message = f"Volume{name} cannot be mounted: the {missing['kind']} {missing['name']} does not exist."
        remedy = "Create it in the pod's namespace, or name one that exists."
    elif re.search(r"multi-attach|already (?:exclusively )?attached|being used by", said, re.IGNORECASE):
        message = f"Volume{name} is attached to another node and can be attached to one only."
        remedy = "Use a ReadWriteMany claim, or keep the pods on one node."
    elif re.search(r"timed out|timeout|deadline", said, re.IGNORECASE):
        message = f"Volume{name} could not be attached or mounted in time."
        remedy = "See the storage driver's log and whether the volume is in the node's zone."
    else:
        message = f"Volume{name} cannot be mounted: {said}"
        remedy = "See the storage driver's log."
    return diagnosis("mount", Reason.VOLUME_MOUNT, Certainty.CERTAIN, message, remedy, evidence=said)


def _deadline(job: Object) -> Diagnosis | None:
    for condition in _list(_map(job.get("status")).get("conditions")):
        if condition.get("status") == "True" and condition.get("reason") == "DeadlineExceeded":
            seconds = _map(job.get("spec")).get("activeDeadlineSeconds")
            return _too_long(str(condition.get("message") or ""), seconds)
    return None


def _too_long(said: str, seconds: object = None) -> Diagnosis:
    limit = f" of {seconds} s" if seconds is not None else ""
    message = f"It took longer than its deadline{limit}."
    remedy = "Raise the timeout, use fewer calibration samples, or a faster GPU."
    return diagnosis("deadline", Reason.DEADLINE_EXCEEDED, Certainty.CERTAIN, message, remedy, evidence=said)


def _statuses(pod: Object, name: str | None) -> list[Object]:
    status = _map(pod.get("status"))
    found = [*_list(status.get("initContainerStatuses")), *_list(status.get("containerStatuses"))]
    return [one for one in found if name is None or one.get("name") == name]


def _limit(pod: Object, name: str) -> str | None:
    spec = _map(pod.get("spec"))
    for one in [*_list(spec.get("containers")), *_list(spec.get("initContainers"))]:
        if one.get("name") == name:
            limit = _map(_map(one.get("resources")).get("limits")).get("memory")
            return str(limit) if limit is not None else None
    return None


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
