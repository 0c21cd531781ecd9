"""Place of the pod in its group, from the environment variables that LeaderWorkerSet sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure


@dataclass(frozen=True)
class Place:
    """Place of a pod: the leader has index 0, and the workers' names derive from the leader's."""

    index: int
    size: int
    leader: str
    """Host name of the leader's pod."""

    @property
    def alone(self) -> bool:
        """True if the pod is a whole replica."""
        return self.size == 1

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers' pods, which mpirun uses as host names."""
        return tuple(self.name_of(index) for index in range(1, self.size))

    @property
    def name(self) -> str:
        """Name of this pod."""
        return self.name_of(self.index) if self.index else self.leader.partition(".")[0]

    def name_of(self, index: int) -> str:
        """Name of a worker's pod."""
        return f"{self.leader.partition('.')[0]}-{index}"


def place_of(environment: Mapping[str, str], nodes: int) -> Place:
    """Place of the pod, from LWS_*. Raises BuilderFailure BadRequest if the group does not match the request."""
    if nodes == 1:
        return Place(0, 1, "localhost")
    leader, index, size = (
        environment.get(f"LWS_{name}", "") for name in ("LEADER_ADDRESS", "WORKER_INDEX", "GROUP_SIZE")
    )
    if not leader or not index.isdecimal() or not size.isdecimal():
        raise _bad(
            f"A replica has {nodes} nodes, but the pod has no place in a group: LWS_LEADER_ADDRESS is {leader!r}, "
            f"LWS_WORKER_INDEX {index!r}, LWS_GROUP_SIZE {size!r}.",
            "Create the pods with a LeaderWorkerSet, which sets these variables.",
        )
    if int(size) != nodes:
        raise _bad(
            f"A replica has {nodes} nodes, but the LeaderWorkerSet's group has {size} pods.",
            f"Set the LeaderWorkerSet's size to {nodes}.",
        )
    if int(index) >= nodes:
        raise _bad(
            f"LWS_WORKER_INDEX is {index}, but a group of {nodes} pods has the indexes 0 to {nodes - 1}.",
            "Create the pods with a LeaderWorkerSet, which sets this variable.",
        )
    return Place(int(index), nodes, leader)


def _bad(message: str, remedy: str) -> BuilderFailure:
    return BuilderFailure(ExitCode.BAD_REQUEST, Reason.BAD_REQUEST, message, remedy)
