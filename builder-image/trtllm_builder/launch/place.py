"""Which pod of its group this is, as LeaderWorkerSet tells it; launcher.py asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure


@dataclass(frozen=True)
class Place:
    """The leader has index 0; workers are named after it."""

    index: int
    size: int
    leader: str
    """Host name of the leader's pod."""

    @property
    def alone(self) -> bool:
        """Whether the pod is a whole replica."""
        return self.size == 1

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers' pods by name, which mpirun knows them by."""
        return tuple(self.name_of(index) for index in range(1, self.size))

    @property
    def name(self) -> str:
        """Name of the pod itself."""
        return self.name_of(self.index) if self.index else self.leader.partition(".")[0]

    def name_of(self, index: int) -> str:
        """Name of a worker's pod."""
        return f"{self.leader.partition('.')[0]}-{index}"


def place_of(environment: Mapping[str, str], nodes: int) -> Place:
    """Read LWS_*; raises BuilderFailure BadRequest when the group is not what the request is for."""
    if nodes == 1:
        return Place(0, 1, "localhost")
    leader, index, size = (
        environment.get(f"LWS_{name}", "") for name in ("LEADER_ADDRESS", "WORKER_INDEX", "GROUP_SIZE")
    )
    if not leader or not index.isdecimal() or not size.isdecimal():
        raise _bad(
            f"A replica has {nodes} nodes, but the pod does not know its place: LWS_LEADER_ADDRESS is {leader!r}, "
            f"LWS_WORKER_INDEX {index!r}, LWS_GROUP_SIZE {size!r}.",
            "Start the pods through a LeaderWorkerSet, which sets the three.",
        )
    if int(size) != nodes:
        raise _bad(
            f"A replica has {nodes} nodes, but the LeaderWorkerSet's group has {size} pods.",
            f"Set the LeaderWorkerSet's size to {nodes}.",
        )
    if int(index) >= nodes:
        raise _bad(
            f"The pod is number {index} of a group of {nodes}: numbers go from 0 to {nodes - 1}.",
            "Start the pods through a LeaderWorkerSet, which numbers them.",
        )
    return Place(int(index), nodes, leader)


def _bad(message: str, remedy: str) -> BuilderFailure:
    return BuilderFailure(ExitCode.BAD_REQUEST, Reason.BAD_REQUEST, message, remedy)
