"""Errors of NCCL and Gloo about the connections between GPUs and nodes: T1 to T6 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier

TRANSPORT: Final = (
    Entry(
        "T1",
        Reason.GPU_FAULT,
        "NVLS or the fabric manager",
        (
            Pattern(
                "nvls",
                r"(?:fail\w{0,3}|error|unable|cannot)\b.{0,60}\bNVLS\b|transport/nvls.{0,40}NCCL WARN"
                r"|\bNVLS\b.{0,60}\b(?:fail|error)",
            ),
            Pattern(
                "fabric manager",
                r"(?:error|fail\w{0,3}|not (?:running|ready|started))\b.{0,60}\bFabric Manager"
                r"|Fabric Manager\b.{0,60}\b(?:error|fail\w{0,3}|inactive|not (?:running|ready|started|initialized))",
            ),
            Pattern("cumulticast", r"cuMulticast.{0,80}\b(?:fail|error|CUDA_ERROR)"),
        ),
        "NCCL could not set up multicast over NVSwitch (NVLS): the node's fabric manager or NVSwitches are not ready.",
        "Restart nvidia-fabricmanager on the node and check that its version is the driver's, or set "
        "NCCL_NVLS_ENABLE=0 in podTemplate.env.",
    ),
    Entry(
        "T2",
        Reason.COMMUNICATION_FAILED,
        "IMEX between the nodes of an NVLink domain",
        (
            Pattern(
                "imex",
                r"(?:fail\w{0,3}|error|not|no|missing|unavailable|cannot|could not)\b.{0,80}\bIMEX\b"
                r"|\bIMEX\b.{0,80}\b(?:fail|error|not\b|missing|unavailable)",
            ),
            Pattern(
                "fabric handle",
                r"(?:fail\w{0,3}|error|not)\b.{0,80}fabric handle|fabric handle.{0,80}\b(?:fail|error|not)\b",
            ),
        ),
        "GPUs of different nodes cannot share memory over NVLink: the IMEX service or its channel is missing.",
        "Run nvidia-imex on every node of the NVLink domain and give the pod its channel (a ComputeDomain), or set "
        "NCCL_MNNVL_ENABLE=0 in podTemplate.env.",
    ),
    Entry(
        "T3",
        Reason.COMMUNICATION_FAILED,
        "InfiniBand or RoCE",
        (
            Pattern(
                "net/ib",
                r"NET/IB\b.{0,40}Got completion(?: from peer (?P<peer>[\w.:-]+))?"
                r".{0,60}?(?:status=|error )(?P<status>\d+)",
            ),
            Pattern("net/ib", r"NCCL WARN\b.{0,20}NET/IB\b.{0,60}\b(?:async fatal|fatal|timeout|fail|unable)"),
            Pattern("ibv_", r"^(?!.*Cannot allocate memory).*\bibv_\w+.{0,60}\b(?:fail\w{0,3}|error|timed out)"),
        ),
        "InfiniBand or RoCE between the nodes failed[[ (peer {peer})]][[ with status {status}]].",
        "Check the link (ibstat), the RDMA device in the pod, NCCL_IB_HCA and NCCL_IB_GID_INDEX; NCCL_IB_DISABLE=1 in "
        "podTemplate.env uses TCP instead.",
    ),
    Entry(
        "T4",
        Reason.COMMUNICATION_FAILED,
        "NCCL cannot connect to another pod",
        (
            Pattern(
                "nccl warn",
                r"NCCL WARN\b.{0,60}\bconnect to (?P<peer>[\w.:-]+).{0,40}?"
                r"(?:returned|failed)\W{0,4}(?P<why>[a-z][a-z ]{3,40})",
            ),
        ),
        "NCCL cannot connect to the pod at {peer}: {why}.",
        "Let the pods reach each other on all ports: check NetworkPolicy and sidecars (a service mesh breaks NCCL), "
        "and NCCL_SOCKET_IFNAME.",
        seen=Seen.WARNING,
        tier=Tier.VAGUE,
    ),
    Entry(
        "T5",
        Reason.COMMUNICATION_FAILED,
        "the network interface is not in the pod",
        (
            Pattern("interface found", r"\bno (?:usable |suitable )?(?:socket )?interface found"),
            Pattern("unable to find address for", r"Unable to find address for:? (?P<name>[\w.-]+)"),
            Pattern("unable to find interface", r"Unable to find interface (?P<name>[\w.-]+)"),
        ),
        "The network interface[[ {name}]] that the ranks are told to use is not in the pod.",
        "Set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME in podTemplate.env to an interface of the pod, usually eth0.",
    ),
    Entry(
        "T6",
        Reason.COMMUNICATION_FAILED,
        "the name of another pod does not resolve",
        (
            Pattern("cannot be retrieved", r"addresses of \(?(?P<host>[\w.-]+),? ?\d{0,5}\)? cannot be retrieved"),
            Pattern(
                ".svc",
                r"(?P<host>(?<![\w.-])[\w-]+\.[\w.-]{0,120}svc\b[\w.-]{0,60}).{0,120}"
                r"(?:Name or service not known|name resolution|not resolve|No such host|No address)",
            ),
            Pattern(
                ".svc",
                r"(?:Name or service not known|not resolve|No such host|no address|getaddrinfo).{0,120}?"
                r"(?P<host>(?<![\w.-])[\w-]+\.[\w.-]{0,120}svc\b[\w.-]{0,60})",
            ),
        ),
        "The name of another pod, {host}, does not resolve.",
        "Check the cluster's DNS, and that the group's headless Service selects its pods with "
        "publishNotReadyAddresses: true.",
        seen=Seen.WARNING,
    ),
)
