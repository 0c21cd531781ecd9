"""Failures of starting ranks together: S24 to S29 of docs/failures.md; MPI, NCCL and what they share."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.model import Certainty

_LIKELY: Final = Certainty.LIKELY

LAUNCH: Final = (
    Entry(
        "S24",
        Reason.LAUNCH_FAILED,
        "too few MPI slots",
        (
            Pattern("are already filled", r"nodes? .{0,40}allocated .{0,40}are already filled"),
            Pattern("slots", r"mpirun\b.{0,20}\b(?P<want>\d+) slots (?:were |are )?(?:requested|needed|wanted)"),
            Pattern("enough slots available", r"not enough slots available(?:.*?satisfy the (?P<want>\d+))?"),
        ),
        "mpirun has fewer slots than ranks[[ ({want})]].",
        "Give the host file slots=GPUs per node, or lower the number of ranks.",
    ),
    Entry(
        "S25",
        Reason.LAUNCH_FAILED,
        "MPI as root or without a local rank",
        (
            Pattern("getting local rank failed"),
            Pattern("attempt to run as root"),
            Pattern(
                "as root", r"(?:mpi|prte)run\b.{0,40}\b(?:not|refus\w*|cannot|must)\b.{0,30}\brun(?:ning)? as root"
            ),
            Pattern(
                "running mpirun as root is strongly discouraged",
                r"Running mpirun as root is \*?strongly\*? discouraged",
                certainty=_LIKELY,
            ),
        ),
        "MPI refused to run as root, or its daemon could not be started.",
        "Pass --allow-run-as-root, or run as a user that exists in the image.",
    ),
    Entry(
        "S26",
        Reason.LAUNCH_FAILED,
        "MPI cannot reach a node",
        (
            Pattern("was unable to reliably start", r"(?:ORTE|PRTE) was unable to reliably start"),
            Pattern(
                "daemon",
                r"(?:ORTE|PRTE|mpirun).{0,60}unable to (?:communicate|start).{0,60}daemon",
            ),
            Pattern("could not resolve hostname", r"Could not resolve hostname (?P<host>[\w.-]+)"),
            Pattern("ssh: connect to host", r"ssh: connect to host (?P<host>[\w.-]+)"),
            Pattern("host key verification failed"),
            Pattern("permission denied (publickey", r"(?:(?<!\S)(?P<host>[^\s:]+): )?Permission denied \(publickey"),
            Pattern("daemon has unexpectedly failed", r"(?:ORTE|PRTE) daemon has unexpectedly failed"),
            Pattern("daemon", r"\bdaemon\b.{0,60}\b(?:failed to|unable to|could not|did not) start"),
            Pattern("kex_exchange_identification", r"kex_exchange_identification: (?:Connection|read)"),
            Pattern("died unexpectedly", r"daemon \(pid \d+\) died unexpectedly with status \d+"),
            Pattern(": command not found", r"\b(?:orted|prted): command not found"),
        ),
        "mpirun could not start its daemon on another pod[[ ({host})]].",
        "Check that every pod of the group runs and reaches the leader (name resolution, NetworkPolicy): "
        "the workers fetch mpirun's daemons from the leader's launcher over HTTP.",
    ),
    Entry(
        "S26i",
        Reason.LAUNCH_FAILED,
        "MPI does not start in a process",
        (
            *(
                Pattern(f"{layer}_init", rf"{layer}_init(?:_thread)?\b.{{0,24}}\bfail")
                for layer in ("opal", "orte", "prte", "ompi_mpi", "pmix")
            ),
            Pattern("opal_shmem_base_select failed"),
            Pattern("mpi_init", r"(?:error|fail|abort).{0,60}\bMPI_Init|MPI_Init.{0,80}\b(?:error|fail|abort)"),
            Pattern("libmpi", r"libmpi\S*: cannot open shared object|cannot load MPI library"),
            Pattern("mpirun does not support recursive calls"),
            Pattern("mpi/", r"(?:cannot|couldn't|could not|unable to|fail\w*)\b.{0,60}\bmpi/\w+"),
            Pattern("cannot find mpi plugin"),
            Pattern("was unable to launch the specified application", certainty=_LIKELY),
        ),
        "MPI could not start in a process.",
        "Use the image's own Open MPI, start the ranks with the mpirun that belongs to it, and leave /tmp writable.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "S26w",
        Reason.LAUNCH_FAILED,
        "another pod of the group was lost",
        (
            Pattern("daemon in the pod", r"daemon in the pod (?P<pod>[\w.-]+?) ended with exit code"),
            Pattern("poll", r"worker (?P<pod>[\w.-]+) (?:has not polled|no longer polls)"),
            Pattern("took part in the job", r"worker (?P<pod>[\w.-]+) restarted while"),
            Pattern("lost communication with a remote daemon"),
            Pattern(" error: ", r"\b(?:PRTE|ORTE|PMIX) ERROR: .{1,60} in file "),
        ),
        "The pod[[ {pod}]] of the group was lost while the ranks ran.",
        "Look at that pod's own log and events: it failed first.",
        tier=Tier.CONSEQUENCE,
        certainty=_LIKELY,
        yields=True,
    ),
    Entry(
        "S28",
        Reason.SHARED_MEMORY_TOO_SMALL,
        "shared memory too small",
        (
            Pattern("bus error"),
            Pattern("physical address", r"non-?existe?a?nt physical address"),
            Pattern(
                "dev/shm/",
                r"(?:error|fail|unable|cannot|no space|warn|denied).{0,100}/dev/shm/"
                r"|/dev/shm/.{0,120}(?:error|fail|no space|unable)",
            ),
            Pattern("shared memory", r"(?<!kernel \()(?:insufficient|out of|not enough) shared memory"),
            Pattern(
                "no space left on device",
                r"(?:/dev/shm|</torch_|shared memory|posix_fallocate|NCCL).*No space "
                r"left on device",
            ),
            Pattern("sigbus", r"SIGBUS"),
        ),
        "Shared memory (/dev/shm) is too small for the ranks.",
        "Mount a memory-backed emptyDir at /dev/shm; Kubernetes gives 64 MB by default.",
    ),
    Entry(
        "S28n",
        Reason.SHARED_MEMORY_TOO_SMALL,
        "NCCL's unhandled system error",
        (Pattern("unhandled system error"), Pattern("ncclsystemerror", r"ncclSystemError\b")),
        "NCCL could not get a system resource, most often because /dev/shm is too small.",
        "Mount a memory-backed emptyDir at /dev/shm; with NCCL_DEBUG=WARN NCCL names the resource.",
        tier=Tier.VAGUE,
        certainty=_LIKELY,
    ),
    Entry(
        "S28m",
        Reason.COMMUNICATION_FAILED,
        "too little memory may be locked for the network",
        (
            Pattern("ibv_", r"\bibv_\w+.{0,80}Cannot allocate memory"),
            Pattern("memlock", r"memlock\b.{0,60}too (?:low|small)"),
        ),
        "The network adapter may not lock the memory that it needs (memlock).",
        "Raise the node's memlock limit, add IPC_LOCK in podTemplate, or set NCCL_IB_DISABLE=1.",
    ),
    Entry(
        "S29",
        Reason.TOO_FEW_GPUS,
        "two ranks on one GPU",
        (Pattern("duplicate gpu detected", r"Duplicate GPU detected(?: ?: ?rank (?P<a>\d+) and rank (?P<b>\d+))?"),),
        "Two ranks[[ ({a} and {b})]] run on the same GPU.",
        "Ask for as many GPUs as ranks, and set no device list that hides some.",
    ),
)
