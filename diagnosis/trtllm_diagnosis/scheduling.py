"""The scheduler's sentence, taken apart: how many of how many nodes miss which constraint; waiting.py asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.model import Certainty, Diagnosis

_TOTAL: Final = re.compile(r"(?<!\d)(\d{1,9})/(\d{1,9}) nodes? (?:are|is) available")
_PREEMPTION: Final = re.compile(r"\.?\s{0,4}preemption: .*", re.DOTALL | re.IGNORECASE)
_PART: Final = re.compile(
    r"(?:^|[,:.]\s+)(\d+)\s+(?!/)((?:node\(s\)|Insufficient|Too many|Preemption|cannot)[^{,]*(?:\{[^}]*\}[^,{]*)*)"
)


@dataclass(frozen=True)
class _Kind:
    expression: str
    message: str
    remedy: str


_KINDS: Final = (
    _Kind(
        r"Insufficient (?P<what>(?:[\w.-]+/)?[\w.-]*(?:gpu|mig)[\w.-]*)",
        "{n} have too few free {what}",
        "Ask for fewer GPUs per pod, wait for GPUs to become free, or add nodes.",
    ),
    _Kind(
        r"Insufficient (?P<what>\S+)",
        "{n} have too little free {what}",
        "Lower the pod's requests, or add larger nodes.",
    ),
    _Kind(r"Too many pods", "{n} are full of pods", "Add nodes."),
    _Kind(
        r"untolerated taint(?:\(s\))? ?(?P<what>\{[^}]*\})?|taint (?P<what2>\{[^}]*\}) that the pod didn't tolerate",
        "{n} have a taint that the pod does not tolerate {what}",
        "Add the toleration to podTemplate.tolerations if the pod may run there.",
    ),
    _Kind(
        r"didn't match Pod's node affinity|didn't match node selector|node affinity/selector",
        "{n} do not match its node selector or affinity",
        "Name a GPU product that the nodes have, or label the nodes (GPU feature discovery does).",
    ),
    _Kind(
        r"volume node affinity conflict",
        "{n} cannot reach its volume",
        "Use a volume that is reachable from the GPU nodes' zone, or ReadWriteMany storage.",
    ),
    _Kind(
        r"unbound immediate PersistentVolumeClaims",
        "{n} wait for its volume to be bound",
        "Check that the claim's storage class exists and has room.",
    ),
    _Kind(r"exceed max volume count", "{n} have as many volumes as they can attach", "Use fewer volumes per node."),
    _Kind(r"unschedulable", "{n} are cordoned", "Uncordon them, or add nodes."),
    _Kind(r"pod (?:anti-)?affinity", "{n} conflict with pod affinity rules", "Relax the pod's affinity."),
    _Kind(r"topology spread", "{n} conflict with topology spread rules", "Relax topologySpreadConstraints."),
    _Kind(r"free ports", "{n} have its port in use", "Drop the host port."),
    _Kind(
        r"resource ?claim|cannot allocate all claims",
        "{n} cannot satisfy its resource claim",
        "Check the ResourceClaim and the device classes.",
    ),
)


def explain_unschedulable(said: str) -> Diagnosis:
    """A diagnosis of the PodScheduled condition's or the FailedScheduling event's message."""
    total = _TOTAL.search(said)
    parts, remedies = _parts(_PREEMPTION.sub("", said))
    of = f"of {total[2]} node{'' if total[2] == '1' else 's'}, " if total else ""
    if total is not None and total[2] == "0":
        message = "No node takes the pod: the cluster has no nodes."
        remedies = ["Add nodes."]
    elif parts:
        message = f"No node takes the pod: {of}{', '.join(parts)}."
    elif (missing := re.search(r"persistentvolumeclaim \"?([\w.-]+)\"? not found", said)) is not None:
        message = f"No node takes the pod: its claim {missing[1]} does not exist."
        remedies = ["Create the PersistentVolumeClaim, or name one that exists."]
    elif "unbound immediate PersistentVolumeClaims" in said:
        message = "No node takes the pod: its volume claim is not bound."
        remedies = ["Check that the claim's storage class exists and has room."]
    else:
        message = f"No node takes the pod: {said.strip() or 'the scheduler does not say why'}"
    return diagnosis(
        "unschedulable",
        Reason.UNSCHEDULABLE,
        Certainty.CERTAIN,
        message,
        " ".join(remedies[:2]) or "Compare the pod's requests and selectors with the nodes.",
        evidence=said,
    )


def _parts(said: str) -> tuple[list[str], list[str]]:
    """Each constraint with its number of nodes, the most frequent first, and what would help."""
    found: list[tuple[int, str, str]] = []
    for number, clause in _PART.findall(said):
        if clause.startswith("Preemption"):
            continue
        text, remedy = _clause(number, clause.strip(" ."))
        found.append((int(number), text, remedy))
    found.sort(key=lambda part: -part[0])
    return [text for _, text, _ in found], list(dict.fromkeys(remedy for _, _, remedy in found if remedy))


def _clause(number: str, clause: str) -> tuple[str, str]:
    for kind in _KINDS:
        match = re.search(kind.expression, clause)
        if match is not None:
            what = next((value for value in match.groupdict().values() if value), "")
            text = kind.message.format(n=number, what=what.rstrip(".")).strip()
            return _singular(text) if number == "1" else text, kind.remedy
    return f"{number} {clause}", ""


def _singular(text: str) -> str:
    verbs = {"have": "has", "do": "does", "are": "is", "wait": "waits", "conflict": "conflicts"}
    number, verb, *rest = text.split(" ")
    return " ".join([number, verbs.get(verb, verb), *rest])
