"""Why a pod's container ended: `diagnose_end`, pure over a Pod as a dict; called by the operator and `trtllm diagnose`.

It sees what only Kubernetes sees (memory, eviction, a node that went away); scan.py reads what the container said last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.limits import Limits
from trtllm_diagnosis.memory import out_of_memory
from trtllm_diagnosis.model import Certainty, Diagnosis
from trtllm_diagnosis.pods import Object, as_map, limit_of, statuses, words
from trtllm_diagnosis.scan import diagnose
from trtllm_diagnosis.waiting import REFUSED, explain_refusal

_DEFAULT: Final = Limits()
_LOW: Final = re.compile(r"low on resource: (?P<what>\w[\w-]*)")
_USED: Final = re.compile(r"was using (?P<used>[\w.]+), request is (?P<request>[\w.]+)")
_SIGKILL: Final = 137


def diagnose_end(
    pod: Object,
    *,
    container: str | None = None,
    log: Iterable[str] = (),
    events: Iterable[Object] = (),
    memory_peak: int | None = None,
    template: str = "podTemplate",
    limits: Limits = _DEFAULT,
) -> Diagnosis | None:
    """Why this pod, or a container of it, ended; None when none has, or all ended well.

    Without a container's name every container is looked at. The log is that of the ended container; without it its
    termination message is read. Events are the pod's: one of them says that a probe had it killed. `memory_peak` is in
    bytes; `template` is where the spec sets the pod's resources. Of the log only what the limits allow is read.
    """
    found = _of_the_pod(pod, template) or _of_a_container(pod, container, list(log), memory_peak, template, limits)
    if found is None or found.reason is not Reason.TERMINATED:
        return found
    return next((cause for event in events if (cause := _by_probe(event)) is not None), found)


def _by_probe(event: Object) -> Diagnosis | None:
    said = words(event, "message", "note")
    return diagnose([said]) if event.get("reason") == "Killing" and "probe" in said else None


def _of_the_pod(pod: Object, template: str) -> Diagnosis | None:
    """Diagnosis from the pod's own status, which the kubelet writes."""
    status = as_map(pod.get("status"))
    reason, said = words(status, "reason"), words(status, "message")
    if reason == "Evicted":
        return _evicted(said, template)
    if reason == "DeadlineExceeded":
        message, remedy = "It took longer than its activeDeadlineSeconds.", "Raise it where it was set."
        return diagnosis("deadline", Reason.DEADLINE_EXCEEDED, Certainty.CERTAIN, message, remedy, evidence=said)
    if reason in {"Preempting", "Preempted", "Terminated", "NodeShutdown", "NodeLost", "Shutdown"}:
        message = f"The node stopped or gave the pod's place away ({reason}): {said or 'it does not say why'}"
        return diagnosis("stopped", Reason.TERMINATED, Certainty.CERTAIN, message, "It can run again.", evidence=said)
    if reason in {"UnexpectedAdmissionError", "NodeAffinity"} or "OutOf" in reason:
        message = f"The node refused the pod ({reason}): {said or 'it does not say why'}"
        remedy = "It is scheduled again; check the device plugin if it repeats."
        return diagnosis("refused", Reason.UNSCHEDULABLE, Certainty.CERTAIN, message, remedy, evidence=said)
    return None


def _evicted(said: str, template: str) -> Diagnosis:
    low = _LOW.search(said)
    what = low["what"] if low else ""
    if what == "ephemeral-storage" or re.search(r"ephemeral|emptydir|disk", said, re.IGNORECASE):
        found = diagnose([said])
        if found is not None and found.reason is Reason.EPHEMERAL_STORAGE_FULL:
            return found
        what = what or "ephemeral-storage"
    used = _USED.search(said)
    numbers = f"; it used {used['used']} and had asked for {used['request']}" if used else ""
    message = f"The node evicted the pod: it was short of {what or 'resources'}{numbers}."
    remedy = f"Raise {template}.resources.requests to what the pod really uses, or give the node more room."
    return diagnosis("evicted", Reason.EVICTED, Certainty.CERTAIN, message, remedy, evidence=said)


def _of_a_container(
    pod: Object, name: str | None, log: list[str], peak: int | None, template: str, limits: Limits
) -> Diagnosis | None:
    for status in statuses(pod, name):
        end = as_map(as_map(status.get("state")).get("terminated"))
        end = end or as_map(as_map(status.get("lastState")).get("terminated"))
        if not end or (end.get("exitCode") == 0 and end.get("reason") != "OOMKilled"):
            continue
        its_name = str(status.get("name"))
        if end.get("reason") == "OOMKilled":
            return out_of_memory(f"Container {its_name}", limit_of(pod, its_name), peak, template)
        if end.get("reason") in REFUSED:
            return explain_refusal(words(end, "reason"), words(end, "message"))
        return _by_its_words(status, end, log or str(end.get("message") or "").splitlines(), limits)
    return None


def _by_its_words(status: Object, end: Object, lines: list[str], limits: Limits) -> Diagnosis:
    code = end.get("exitCode")
    found = diagnose(lines, code if isinstance(code, int) else None, limits)
    if found is not None and found.id == f"exit{_SIGKILL}":
        # the kubelet would say OOMKilled, unless the runtime has missed it
        message = (
            f"container {status.get('name')} was killed from outside (exit code {_SIGKILL}); "
            "Kubernetes does not report that its memory ran out."
        )
        remedy = "See the pod's events: a probe that failed, a node that stopped, or somebody who deleted it."
        return diagnosis("killed", Reason.TERMINATED, Certainty.LIKELY, message, remedy)
    if found is None or (found.reason is Reason.UNKNOWN and not any(lines)):
        return _wordless(status, code)
    return found


def _wordless(status: Object, code: Any) -> Diagnosis:
    name, restarts = status.get("name"), status.get("restartCount") or 0
    if restarts:
        message = f"Container {name} ends with exit code {code} again and again ({restarts} restarts)."
        remedy = "See the log of its previous run: kubectl logs --previous."
        return diagnosis("crashloop", Reason.CRASH_LOOP, Certainty.CERTAIN, message, remedy)
    message = f"Container {name} ended with exit code {code}, and its log is empty."
    return diagnosis("exit", Reason.UNKNOWN, Certainty.CERTAIN, message, "See the pod's events.")
