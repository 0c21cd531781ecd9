"""Failures of any process on a GPU: Q9 and G1 to G9 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier
from trtllm_diagnosis.model import Certainty

_LIKELY: Final = Certainty.LIKELY

GENERAL: Final = (
    Entry(
        "Q9",
        Reason.GPU_OUT_OF_MEMORY,
        "GPU memory during calibration",
        (
            Pattern(
                "out of memory",
                r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError",
                within=r"calib|quantiz|modelopt|forward_loop",
            ),
            Pattern("outofmemoryerror", r"OutOfMemoryError", within=r"calib|quantiz|modelopt|forward_loop"),
        ),
        "A GPU ran out of memory during calibration.",
        "Calibrate with batch size 1 and shorter sequences, or on a GPU with more memory.",
    ),
    Entry(
        "G1",
        Reason.GPU_OUT_OF_MEMORY,
        "GPU memory",
        (
            Pattern(
                "cuda out of memory",
                r"CUDA out of memory(?:\. Tried to allocate (?P<asked>[\d.]+ "
                r"\wi?B))?(?:.*?(?:total capacity of (?P<total>[\d.]+ \wi?B)))?"
                r"(?:.*?of which (?P<free>[\d.]+ \wi?B) is free)?",
            ),
            Pattern("cuda error: out of memory"),
            Pattern("outofmemoryerror", r"(?:torch|cuda)\S*OutOfMemoryError"),
            Pattern("hip out of memory"),
            Pattern("cuda_error_out_of_memory"),
            Pattern("cudaerrormemoryallocation"),
            Pattern("cublas_status_alloc_failed"),
            Pattern(
                "out of memory",
                r"(?:\bcuda\w*|\bcu(?:Mem|Ctx|Module|Launch|Stream|blas|dnn)\w*|\bGPU|\bVRAM"
                r"|\bTriton Error)\b.{0,160}?\bout of memory",
            ),
            Pattern("nccl", r"NCCL.{0,60}(?:cuda failure|out of memory).{0,20}'?out of memory"),
            Pattern("insufficient gpu memory", r"(?<!due to )insufficient GPU memory"),
        ),
        "A GPU ran out of memory[[ at a request for {asked}]][[ (of {total})]][[; {free} were free]].",
        "Lower batch, tokens or sequence length, raise the tensor parallelism, quantize further, or free the GPU.",
    ),
    Entry(
        "G2",
        Reason.GPU_FAULT,
        "the GPU or its link failed",
        (
            Pattern("uncorrectable", r"uncorrectable (?:ECC|NVLink) error"),
            Pattern("nvrm: xid", r"NVRM: Xid .{0,30}: (?P<xid>\d+)"),
            Pattern("gpu has fallen off the bus"),
            Pattern("system not yet initialized"),
            Pattern("gpu is lost"),
            Pattern("hardware stack error", r"hardware stack error"),
        ),
        "The GPU, its driver or its link failed[[ (Xid {xid})]].",
        "Drain the node, reset the GPU and its fabric manager, and run again elsewhere.",
    ),
    Entry(
        "G3",
        Reason.GPU_FAULT,
        "a kernel failed on the GPU",
        (
            Pattern("illegal memory access"),
            Pattern("device-side assert triggered"),
            Pattern("cuda", r"(?<!unhandled )CUDA (?:runtime |driver |kernel |API )*error\b"),
            Pattern("unspecified launch failure"),
            Pattern("misaligned address", r"CUDA.{0,60}misaligned address"),
            Pattern("illegal instruction was encountered"),
            Pattern("cublas_status_execution_failed"),
            Pattern(
                "error occurred when running",
                r"error occurred when running (?:\w+ ){0,3}(?:GEMM|kernel|cutlass|attention|MoE)",
            ),
            Pattern(
                "failed to",
                r"Failed to (?:run|initialize|launch|execute) (?:cutlass|cublas\w*|cudnn|CUDA kernel|kernel)\b",
            ),
            Pattern("cudaerrorlaunchfailure"),
            Pattern("xid", r"\bXID error\b|GPU exception"),
            Pattern("cublas_status_not_initialized", certainty=_LIKELY),
            Pattern("torch_use_cuda_dsa", certainty=_LIKELY),
        ),
        "A kernel failed on the GPU: an input out of range, a fault of the runtime, or too little memory.",
        "Run again with CUDA_LAUNCH_BLOCKING=1 to see which; try a newer image, and check the vocabulary's size.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "G4",
        Reason.COMMUNICATION_FAILED,
        "ranks lost each other",
        (
            Pattern("collective operation timeout"),
            Pattern("ncclremoteerror"),
            Pattern("remote process exited or there was a network error"),
            Pattern("connection closed by remote peer", r"connection closed by remote peer"),
            Pattern("unhandled cuda error"),
            Pattern("ncclunhandledcudaerror"),
            Pattern("nccl error", r"\bNCCL error\b"),
            Pattern("nccl", r"\bnccl[A-Z]\w+ (?:failed|returned)\b"),
            Pattern(
                "nccl warn",
                r"NCCL WARN\b.{0,80}(?:Bootstrap|ibv_|NET/IB|socket|Call to (?:connect|recv|send)|[Tt]imeout"
                r"|Connection)",
            ),
            Pattern(
                "failed to connect",
                r"(?:c10d|TCPStore|rendezvous|gloo|master_addr|client socket)\b.{0,120}failed to connect"
                r"|failed to connect\b.{0,80}(?:TCPStore|c10d|rendezvous|gloo|master_addr)",
            ),
            Pattern("distnetworkerror"),
            Pattern(
                "nccl",
                r"NCCL (?:communicator was aborted|error in|timeout)|nccl"
                r"(?:InternalError|InvalidUsage|UnhandledCudaError)",
            ),
            Pattern("heartbeat monitor timed out"),
            Pattern("mpi error", r"Failed: MPI error"),
            Pattern("mpi_err_", r"\bMPI_ERR_(?!LASTCODE)\w+"),
            Pattern("connection reset by peer", r"(?:nccl|gloo|c10d|socket|store).{0,80}connection reset by peer"),
            Pattern("socket timed out", r"c10d|store.*socket timed out|socket timed out.*store"),
            Pattern("diststoreerror"),
        ),
        "Ranks lost each other; another rank may have failed first.",
        "Look for the first rank that stopped; check the network between nodes and NCCL_SOCKET_IFNAME.",
        yields=True,
        tier=Tier.CONSEQUENCE,
        certainty=_LIKELY,
    ),
    Entry(
        "G5",
        Reason.IMAGE_MISMATCH,
        "a Python module or library is missing",
        (
            Pattern("no module named", r"No module named ['\"]?(?P<what>[\w.]+)"),
            Pattern(
                "cannot open shared object file", r"(?<![\w.+-])(?P<what>lib[\w.+-]+): cannot open shared object file"
            ),
            Pattern("unable to find backend library", r"unable to find backend library for backend '(?P<what>\w+)'"),
            Pattern("failed to find c compiler", r"Failed to find (?P<what>C compiler)"),
            Pattern("cuda_home", r"(?P<what>CUDA_HOME) environment variable is not set"),
            Pattern(
                "nvcc", r"(?:No such file or directory: '\S*|could not find |cannot find |not found: )(?P<what>nvcc)\b"
            ),
            Pattern(
                "installed",
                r"(?:make sure (?:you have|that)|package|library|module)\W{1,3}(?P<what>[\w.-]+)[`'\" ]{1,3}"
                r"(?:seems to be |is |are )?(?:not )?installed",
            ),
            Pattern("requires the following packages", r"requires the following packages .*?: (?P<what>.{1,60})"),
            Pattern(
                "is not installed",
                r"(?:Error|Exception): .{0,60}?\b(?P<what>[\w.-]{1,40})(?: toolkit| library| package"
                r"| module)? is not installed",
            ),
        ),
        "The image lacks {what}.",
        "Use an image that has it.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "G6",
        Reason.VERSION_MISMATCH,
        "parts of different versions",
        (
            Pattern("cannot import name", r"cannot import name '(?P<what>\w+)' from '(?P<where>[\w.]+)'"),
            Pattern("undefined symbol", r"undefined symbol: (?P<what>\w{1,100})"),
            Pattern("glibc", r"version `(?P<what>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found"),
            Pattern(
                "unexpected keyword argument", r"got an unexpected keyword argument '(?P<what>\w+)'", certainty=_LIKELY
            ),
            Pattern(
                "is required for a normal functioning of this module",
                r"(?<!\S)(?P<what>\S+) is required for a normal functioning",
            ),
            Pattern(
                "object has no attribute",
                r"'(?P<where>\w*(?:Config|Args|Cache|Tokenizer\w*))' object has no attribute '(?P<what>\w+)'",
                certainty=_LIKELY,
            ),
            Pattern("has no attribute", r"module '(?P<where>[\w.]+)' has no attribute '(?P<what>\w+)'"),
        ),
        "Two parts of the image are of versions that do not fit[[: {what}]][[ in {where}]].",
        "Use an unmodified image, and one version for convert, build and serve.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "G7",
        Reason.IMAGE_MISMATCH,
        "image of another processor",
        (Pattern("exec format error"),),
        "The image, or a program in it, is for another processor architecture.",
        "Use an image for this node's architecture, or a nodeSelector on kubernetes.io/arch.",
    ),
    Entry(
        "G8",
        Reason.CRASHED,
        "the process crashed",
        (
            Pattern("segmentation fault"),
            Pattern("sigsegv"),
            Pattern("sigabrt"),
            Pattern("core dumped", r"\(core dumped\)"),
            Pattern("double free or corruption"),
            Pattern("free(): invalid pointer"),
            Pattern("corrupted size vs. prev_size"),
            Pattern("fatal python error"),
            Pattern("stack smashing detected"),
        ),
        "The process crashed in native code.",
        "Try a newer image; the last lines before the crash say what it was doing.",
        yields=True,
        tier=Tier.CONSEQUENCE,
    ),
    Entry(
        "G9v",
        Reason.INVALID_OPTIONS,
        "the serving configuration is refused",
        (
            Pattern("value error, ", r"Value error, (?P<why>.{5,180}?)\.? \[type=\w+"),
            Pattern(
                "input should be",
                r"(?P<why>Input should be .{3,120}?)\.? \[type=\w+(?:, input_value=(?P<value>.{1,40}?), input)?",
            ),
        ),
        "The serving configuration is refused: {why}[[, got {value}]].",
        "Change the option that the sentence names in spec.serving.options.",
        tier=Tier.VAGUE,
        refines=("G9",),
    ),
    Entry(
        "G9",
        Reason.INVALID_OPTIONS,
        "an option's value is not allowed",
        (
            Pattern("invalid choice", r"argument (?P<flag>[\w/-]+): invalid choice: (?P<value>\S+)"),
            Pattern("invalid value for", r"Invalid value for '?(?P<flag>--[\w-]+)'?"),
            Pattern("invalid ", r"argument (?P<flag>[\w/-]+): invalid \w+ value: (?P<value>\S+)"),
            Pattern("validation error", r"\d+ validation errors? for (?P<flag>\w+)"),
        ),
        "The option[[ {flag}]] does not take that value[[ ({value})]].",
        "Use one of the values that this version lists.",
        tier=Tier.VAGUE,
        seen=Seen.ERROR,
    ),
)
