"""Errors of the node's GPU plumbing, its limits and the image's run-time compilers: N1 to N9 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.model import Certainty

NODE: Final = (
    Entry(
        "N1",
        Reason.GPU_FAULT,
        "a running container lost its GPUs",
        (
            Pattern("unknown error", r"(?:initialize NVML|NVMLError_Unknown|nvmlInit\w*)\b.{0,20}Unknown Error"),
            Pattern("nvmlerror_gpuislost"),
        ),
        "The container lost its GPUs while it ran (NVML: Unknown Error).",
        "Delete the pod, so that a new one gets GPUs. On the node, let the container toolkit use CDI, so that a reload "
        "of systemd does not take the devices away.",
    ),
    Entry(
        "N2",
        Reason.IMAGE_MISMATCH,
        "the image brings the driver's libraries",
        (
            Pattern(
                "file exists",
                r"file creation failed:.{0,200}/(?P<lib>(?:lib(?:nvidia|cuda|nv)|nvidia)[\w.+-]+): file exists",
            ),
        ),
        "The image has its own {lib}, a library of the driver, where the node's runtime mounts the node's.",
        "Use an image without the driver's libraries: remove libnvidia-*, libcuda.so* and nvidia-* programs from it.",
    ),
    Entry(
        "N3",
        Reason.NO_GPU,
        "CDI does not know the GPU",
        (
            Pattern("unresolvable cdi devices", r"unresolvable CDI devices (?P<why>[\w./=:-]+)"),
            Pattern("cdi device", r"(?:fail\w{0,3}|error|could not)\b.{0,40}\binject\w* CDI devices?"),
            Pattern("cdi spec", r"(?:fail\w{0,3}|error|invalid|no)\b.{0,60}\bCDI spec"),
        ),
        "The node's container runtime does not know the GPU[[ {why}]] (CDI).",
        "On the node, write the CDI specification again (nvidia-ctk cdi generate, or restart the GPU operator's "
        "toolkit pod), and check that containerd has CDI enabled.",
    ),
    Entry(
        "N4",
        Reason.NO_GPU,
        "the device plugin has no GPU to give",
        (Pattern("allocate failed due to", r"Allocate failed due to (?P<why>.{1,160}?)(?:, which is unexpected|$)"),),
        "The node could not give the pod its GPUs: {why}.",
        "See the log of the NVIDIA device plugin on that node, and whether GPUs are unhealthy. Delete the pod to "
        "schedule it again.",
    ),
    Entry(
        "N5",
        Reason.NO_GPU,
        "the node's NVIDIA container runtime failed",
        (
            Pattern(
                "nvidia-container-cli",
                r"nvidia-container-cli\S*: (?!requirement|.*(?:version mismatch|file exists))\w+ error: "
                r"(?P<why>.{1,80}?)(?:: unknown|$)",
            ),
            Pattern("no runtime for", r"(?P<why>no runtime for \"nvidia[\w-]*\" is configured)"),
            Pattern("runtimeclass", r"(?P<why>RuntimeClass \"?nvidia[\w-]*\"? (?:is )?not found)"),
        ),
        "The node's NVIDIA container runtime failed: {why}.",
        "On the node, check the driver (nvidia-smi) and the container toolkit's configuration of containerd; or let "
        "the pod run on another node.",
    ),
    Entry(
        "N6",
        Reason.CONTAINER_CONFIG_INVALID,
        "the limit of open files",
        (Pattern("too many open files"), Pattern("emfile", r"\bEMFILE\b")),
        "The process has as many files and connections open as it may (nofile).",
        "Raise LimitNOFILE of the node's container runtime, or send fewer requests at once to each replica.",
    ),
    Entry(
        "N7",
        Reason.CONTAINER_CONFIG_INVALID,
        "the limit of threads and processes",
        (
            Pattern("can't start new thread"),
            Pattern("thread creation failed"),
            Pattern("pthread_create", r"pthread_create\b.{0,60}(?:fail|Resource temporarily unavailable|EAGAIN)"),
            Pattern(
                "resource temporarily unavailable",
                r"(?:fork|clone|thread|process|spawn)\w*\b.{0,80}Resource temporarily",
            ),
            Pattern("pids.max"),
        ),
        "The container may start no more threads or processes (pids).",
        "Raise podPidsLimit of the node's kubelet, or set OMP_NUM_THREADS in podTemplate.env to the CPUs of the pod.",
    ),
    Entry(
        "N8",
        Reason.IMAGE_MISMATCH,
        "kernels could not be compiled at run time",
        (
            Pattern("nvrtc", r"nvrtc: error: (?P<why>.{1,100})|\bNVRTC_ERROR_(?P<code>\w+)|NVRTC\b.{0,40}\bfail"),
            Pattern("libnvrtc", r"(?P<why>libnvrtc[\w.+-]*): cannot open"),
            Pattern("ninja", r"ninja: build stopped|ninja is required|'ninja': No such|ninja: (?:command )?not found"),
            Pattern("error building extension", r"Error building extension '(?P<why>\w+)'"),
            Pattern("could not find nvcc", r"(?P<why>Could not find nvcc)(?!.{0,40}(?:skip|disabl))"),
        ),
        "A kernel could not be compiled while the program ran[[: {why}]][[ ({code})]].",
        "Use a release image with nvcc and ninja whose CUDA knows this GPU; the compiler's first error stands above.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "N9",
        Reason.SOURCE_UNREACHABLE,
        "kernels could not be downloaded",
        (
            Pattern(
                "cubin",
                r"(?:fail\w{0,3}|unable|could not|cannot|error)\b.{0,60}\b(?:download|fetch|get|load)\w*\b.{0,80}cubin",
            ),
        ),
        "FlashInfer could not download compiled kernels (cubins).",
        "Use an image that contains them (flashinfer-cubin), or let the pod reach NVIDIA's server.",
        certainty=Certainty.LIKELY,
    ),
)
