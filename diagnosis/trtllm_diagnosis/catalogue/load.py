"""Failures of loading engines: L1 to L20 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier
from trtllm_diagnosis.model import Certainty

_LIKELY: Final = Certainty.LIKELY

LOAD: Final = (
    Entry(
        "L1",
        Reason.ENGINE_INCOMPATIBLE,
        "engine of another compute capability",
        (
            Pattern(
                "expecting compute", r"expecting compute (?P<want>\d+\.\d+),? (?:but )?got compute (?P<got>\d+\.\d+)"
            ),
            Pattern("generated on an incompatible device"),
        ),
        "The engine was built for another GPU[[ (compute capability {want} expected, {got} found)]].",
        "Build it on the GPU that serves it, and bind the server to that product.",
    ),
    Entry(
        "L2",
        Reason.ENGINE_INCOMPATIBLE,
        "engine of another TensorRT",
        (
            Pattern(
                "not compatible with this version of tensorrt",
                r"not compatible with this version of TensorRT(?:,? expecting "
                r"library version (?P<want>\S+),? got (?P<got>\S+?),?(?:\s"
                r"|$))?",
            ),
            Pattern("serialization assertion", r"Serialization assertion .{1,160}fail"),
            Pattern("plan file", r"\bold deserialization call\b|\bnewer plan file\b"),
            Pattern("version tag does not match", r"version tag does not match"),
            Pattern(
                "assertion failed",
                r"Assertion failed: \w+ == (?:static_cast<[^>]+>\()?a\)? ?\+ ?\w+.{0,200}\.(?:cpp|h)\b",
            ),
            Pattern("deserializeplugin", r"::deserializePlugin\(", certainty=_LIKELY),
            Pattern("expected length", r"Expected length \(\d+\) != real length"),
            Pattern("different tensorrt", r"different TensorRT.{0,8} version to build engine"),
            Pattern("platform specific tag mismatch"),
            Pattern(
                "built with",
                r"engine\b.{0,40}\bbuilt with TensorRT(?:-LLM)?\b.{0,40}\b(?:but|while|does not match|differs?)\b",
            ),
        ),
        "The engine was built with another TensorRT[[ (expects {want}, got {got})]].",
        "Build and serve with the same image.",
    ),
    Entry(
        "L3",
        Reason.ENGINE_INCOMPATIBLE,
        "engine of another product of the same generation",
        (Pattern("engine plan file across different models of devices"),),
        "The engine was built on another GPU product of the same generation: it runs, perhaps slower or not at all.",
        "Build it on the product that serves it.",
        tier=Tier.NOTE,
        seen=Seen.WARNING,
    ),
    Entry(
        "L4",
        Reason.ENGINE_INCOMPATIBLE,
        "engine cannot be read",
        (
            Pattern(
                "deserialize",
                r"fail\w* to deserialize (?:the )?(?:cuda |tensorrt )?engine"
                r"|deserializ\w* (?:the )?(?:cuda )?engine failed|deserializeCudaEngine.{0,40}"
                r"(?:fail|error)",
            ),
            Pattern(
                "object has no attribute",
                r"'NoneType' object has no attribute '(?:create_execution_context\w*|num_io_tensors|num_bindings"
                r"|num_optimization_profiles|get_(?:tensor|binding)_\w+|device_memory_size\w*)'",
            ),
            Pattern(
                "assert",
                r"^\W*(?:\w+\W+)?AssertionError\b",
                within=r"assert self\.engine is not None|deserialize_cuda_engine",
            ),
        ),
        "the engine was built with another version or for another GPU, or its file is truncated.",
        "Build it again with the image and GPU that serve it.",
        tier=Tier.CONSEQUENCE,
        certainty=_LIKELY,
    ),
    Entry(
        "L5",
        Reason.ENGINE_INCOMPATIBLE,
        "engine configuration of another version",
        (
            Pattern(
                "key '",
                r"key '(?P<key>builder_config|pretrained_config|build_config|plugin_config|name|precision)' not found",
            ),
            Pattern("out_of_range.403", r"json\.exception\.out_of_range\.403\D+key '(?P<key>[^']+)' not found"),
            Pattern("keyerror: '", r"KeyError: '(?P<key>builder_config|pretrained_config|build_config|plugin_config)'"),
            Pattern("tensor '", r"(?:Input|Output) tensor '(?P<key>\w+)' not found"),
            Pattern("type_error.302", r"json\.exception\.type_error\.302\D{1,4}type must be (?P<type>\w+)"),
            Pattern("type_error.30", r"json\.exception\.type_error\.30[1-9]"),
            Pattern(
                "in engine are not the same as expected", r"Tensor names .{0,80}in engine are not the same as expected"
            ),
        ),
        "The engine's configuration was written for another TensorRT-LLM version[[: it lacks {key}]]"
        "[[: a value is not of type {type}]].",
        "Build and serve with the same image.",
    ),
    Entry(
        "L6",
        Reason.WORLD_SIZE_MISMATCH,
        "engine and processes differ in number",
        (
            Pattern(
                "world size",
                r"Engine world size \(?(?P<want>\d+)\)? (?:!=|is not|does "
                r"not match) (?:the )?Runtime world size \(?(?P<got>\d+)",
            ),
        ),
        "The engine is for {want} ranks and {got} run.",
        "Start as many processes as tp x pp x cp, or build for the number that you have.",
    ),
    Entry(
        "L7",
        Reason.WORLD_SIZE_MISMATCH,
        "MPI size is not tp x pp",
        (
            Pattern(
                "mpi size", r"MPI size \(?(?P<got>\d+)\)? != TP size \(?(?P<tp>\d+)\)?(?: \* PP size \(?(?P<pp>\d+))?"
            ),
            Pattern("mpisize == tp", r"mpiSize == tp \* pp"),
            Pattern(
                "divisible",
                r"\b(?:GPUs?(?: per node)?|world[_ ]size|ranks|processes)\b(?: \(?\d+\)?)? (?:is |are )?(?:not"
                r"|must be|should be) "
                r"(?:evenly )?divisible",
            ),
            Pattern("world_size must", r"world_size must (?:be )?equal (?:to )?tp_size"),
            Pattern(
                "world",
                r"world[_ ]?size(?: \(?(?P<got>\d+)\)?)?.{0,40}(?:expected "
                r"to be equal|must (?:be )?equal|does(?:n't| not) (?:match"
                r"|equal)|!=|mismatch|should be equal)",
            ),
            Pattern("must equal", r"\b(?:tp_size|n_workers|moe_tp_size|ranks)\b.{0,12}must equal"),
        ),
        "The number of MPI processes[[ ({got})]] is not the product of the parallelisms[[: TP {tp}]][[ x PP {pp}]].",
        "Start tp x pp x cp processes: mpirun -n, or the pods of the group times their GPUs.",
    ),
    Entry(
        "L9",
        Reason.TOO_FEW_GPUS,
        "fewer GPUs than the parallelism needs",
        (
            Pattern(
                "number of gpus per node",
                r"Number of GPUs per node (?P<have>\d+) must be at least as large as TP(?:\D{0,10}(?P<want>\d+))?",
            ),
            Pattern("gpu is available", r"Only (?P<have>\d+) GPU is available,? but (?P<want>\d+)"),
            Pattern("gpus are available", r"Only (?P<have>\d+) GPUs? (?:are|is) available,? but (?P<want>\d+)"),
            Pattern(
                "gpu", r"(?:requires?|need\w*|requested) (?P<want>\d+) GPUs?.{0,40}(?:only|but) \D{0,30}(?P<have>\d+)"
            ),
            Pattern("invalid device ordinal"),
            Pattern(
                "gpus",
                r"(?:parallel\w*(?:[ _]size)?|world[ _]?size|ranks|processes|required GPUs?)\b.{0,60}"
                r"(?:exceeds?|larger|greater|more than|>|not enough).{0,60}\bGPUs",
            ),
            Pattern(
                "gpus", r"(?:not enough|too few|insufficient) (?:available |visible )?GPUs|at least (?P<want>\d+) GPUs"
            ),
            Pattern("available devices", r"(?:exceeds?|larger|greater|more) than .{0,30}available devices"),
            Pattern("devicecount", r"(?:local)?rank \(?(?P<want>\d+)\)? .{0,30}deviceCount|Can't set device \d+"),
            Pattern(
                "gpu count",
                r"(?:parallel\w*|tp_size|world[_ ]?size|ranks)\b.{0,40}(?:exceeds?|larger|greater"
                r"|more)\b.{0,30}GPU count\D{0,10}(?P<have>\d+)?",
            ),
        ),
        "The process sees[[ {have} GPUs,]] fewer GPUs than it needs[[ ({want})]].",
        "Ask for as many GPUs as ranks in one pod, or lower the tensor parallelism.",
    ),
    Entry(
        "L11",
        Reason.COMMUNICATION_FAILED,
        "no peer access between GPUs",
        (
            Pattern("peer access is not supported"),
            Pattern("access between", r"can(?:no|')t enable (?:peer )?access between"),
            Pattern(
                "peer",
                r"(?:peer[- ]to[- ]peer|p2p|peer access)\b.{0,50}(?:not supported|not possible|failed|is"
                r" required|must be)"
                r"|cudaDevice\w*Peer\w*\b.{0,60}(?:fail|error|not supported)",
            ),
            Pattern("cudaerrorpeeraccessunsupported"),
            Pattern("peer mapping resources exhausted"),
        ),
        "The GPUs of this node cannot reach each other's memory.",
        "Let all-reduce go through NCCL (disable the custom all-reduce), or use a node with NVLink or P2P.",
    ),
    Entry(
        "L12",
        Reason.COMMUNICATION_FAILED,
        "CUDA IPC across pods",
        (
            Pattern("cudaipcopenmemhandle"),
            Pattern("cudaipcgetmemhandle"),
            Pattern("shareablehandle", r"cuMem(?:Import|Export)\w*ShareableHandle"),
            Pattern(
                "ipc",
                r"(?:fail\w*|error|cannot|could not|unable)\b.{0,80}\b(?:open|import|export"
                r"|exchang)\w*\b.{0,20}\bIPC\b",
            ),
            Pattern(
                "cudaerror", r"cudaError(?:InvalidDevice|InvalidValue|MapBufferObjectFailed)", within=r"ipc_mem|cudaIpc"
            ),
        ),
        "Ranks could not share GPU memory, as when they run in separate pods of one node.",
        "Put all GPUs of a node into one pod.",
        refines=("L9", "L11"),
    ),
    Entry(
        "L13",
        Reason.GPU_NOT_SUPPORTED,
        "kernel not compiled for this GPU",
        (
            Pattern("no kernel image is available"),
            Pattern(
                "is not compatible with the current pytorch installation",
                r"(?P<gpu>NVIDIA .{2,40}?) with CUDA capability (?P<sm>sm_\d+) is not compatible",
            ),
        ),
        "The image has no code for this GPU's generation[[ ({gpu}, {sm})]].",
        "Use an image that was compiled for it.",
    ),
    Entry(
        "L14",
        Reason.DRIVER_TOO_OLD,
        "driver older than the image's CUDA",
        (
            Pattern(
                "compatibility mode is unavailable",
                r"(?:version (?P<have>[\d.]+) was detected.*)?compatibility mode is UNAVAILABLE",
            ),
            Pattern(
                "built for nvidia driver release",
                r"built for NVIDIA Driver Release (?P<want>\d[\d.]{0,16}\d)"
                r"(?=.*(?:UNAVAILABLE|but version (?P<have>[\d.]+)))",
            ),
            Pattern("unsatisfied condition", r"unsatisfied condition: (?P<want>\w[\w=, ]*? ?>=? ?[\d.]+\d)"),
            Pattern("driver version is insufficient"),
            Pattern("driver/library version mismatch"),
            Pattern("error 80", r"\bcuda\w{1,40}\b.{0,120}\bError 80[34]\b"),
            Pattern("is too old (found version", r"driver on your system is too old \(found version (?P<have>\d+)"),
            Pattern("forward compatibility was attempted"),
            Pattern("unsupported display driver", r"unsupported display driver / cuda driver combination"),
            Pattern("provided ptx was compiled with an unsupported toolchain"),
        ),
        "The node's NVIDIA driver[[ ({have})]] is too old for this image[[ (it wants {want})]].",
        "Update the driver, or use an older image; bind pods to nodes by the driver's label.",
    ),
    Entry(
        "L15",
        Reason.GPU_NOT_SUPPORTED,
        "a CUDA feature that this GPU or driver lacks",
        (
            Pattern("operation not supported", r"CUDA\b.{0,120}\boperation not supported"),
            Pattern("cuda_error_not_supported"),
            Pattern("cudaerrornotsupported"),
        ),
        "The GPU, its driver or its virtualisation lacks a CUDA feature that this image needs.",
        "Use a whole GPU with a newer driver: vGPU profiles and MIG slices lack memory pools and peer access.",
    ),
    Entry(
        "L16",
        Reason.GPU_OUT_OF_MEMORY,
        "GPU memory at start of the engine",
        (
            Pattern("cudamalloc", r"cudaMalloc(?:Async|Managed|Host)?\(.*out of memory"),
            Pattern("cudamalloc", r"cudaMalloc\w* .{0,40}(?:failed|error).{0,40}out of memory"),
        ),
        "The engine's runtime could not get GPU memory.",
        "Lower the KV cache's fraction, max_batch_size or max_num_tokens, raise the parallelism, or quantize further.",
    ),
    Entry(
        "L17",
        Reason.KV_CACHE_TOO_SMALL,
        "KV cache holds no whole sequence",
        (
            Pattern(
                "must be large enough to process at least 1 sequence",
                r"(?:(?<!\d)\(?(?P<have>\d+)\)? ?)?must be large enough to process "
                r"at least 1 sequence(?: to completion)?(?:\D{0,80}(?P<want>\d+))?",
            ),
            Pattern("impossible to fit", r"Impossible to fit (?:in )?any sequence in kvCache"),
            Pattern(
                "maxtokensinpagedkvcache",
                r"maxTokensInPagedKvCache\W+(?P<have>\d+).{0,60}(?:too small|large enough|at least)",
            ),
            Pattern(
                "kv cache",
                r"(?:no|not enough|insufficient|too little|too few)\b.{0,40}\bkv "
                r"?cache\b.{0,60}(?:sequence|max_seq_len|block|request)",
            ),
            Pattern("memory for the cache blocks"),
            Pattern(
                "kv cache",
                r"max\w{0,12}[_ ]seq\w{0,12}[_ ]len\w{0,12}\W{1,3}(?P<want>\d+)?.{0,80}(?:larger|greater|more|exceed\w*"
                r"|longer)\b.{0,100}"
                r"\bKV ?cache(?:\W{1,3}(?P<have>\d+)\b)?",
            ),
            Pattern("kv cache", r"KV ?cache\b.{0,60}\b(?:larger|more|greater) than (?:the )?(?:available|free)\b"),
            Pattern("allocate new block", r"Can't allocate new blocks?"),
            Pattern("kv cache", r"\b(?:no|not enough|insufficient) (?:\w+ ){0,2}memory\b.{0,20}\bKV ?cache"),
        ),
        "The KV cache[[ of {have} tokens]] does not hold one sequence[[ of {want} tokens]].",
        "Lower max_seq_len, raise the KV cache's memory fraction, or use an FP8 KV cache.",
    ),
    Entry(
        "L18",
        Reason.INVALID_OPTIONS,
        "in-flight batching needs packed input and paged KV",
        (
            Pattern("gpt attention plugin with packed input", r"GPT attention plugin with packed input"),
            Pattern(
                "paged kv cache",
                r"(?:batch|executor|runtime).{0,60}requires?\b.{0,60}"
                r"(?:packed input|remove_input_padding).{0,40}paged KV "
                r"cache",
            ),
            Pattern("requires a packed input", r"requires a packed input tensor"),
        ),
        "The engine was built without packed input and paged KV cache, which in-flight batching needs.",
        "Build with remove_input_padding, the GPT attention plugin and kv_cache_type paged.",
    ),
    Entry(
        "L19",
        Reason.INVALID_OPTIONS,
        "block reuse needs paged context attention",
        (
            Pattern(
                "paged",
                r"(?=.*(?:only|requires?\b|needs?\b|must|not |cannot|without|lacks|has no|ha(?:s|ve) to))"
                r"(?:block|cache|kv)[ _]?(?:cache )?reuse(?!.*int8).{0,90}paged[_ -]?context",
            ),
            Pattern("paged", r"paged[_ -]?context.{0,90}(?:needed|required|must|necessary).{0,60}reuse"),
            Pattern("reuse", r"(?:kv|block|cache).{0,20}reuse.{0,60}requires?\b.{0,60}paged"),
        ),
        "KV cache block reuse needs an engine with paged context attention.",
        "Build with use_paged_context_fmha, or switch block reuse off.",
    ),
    Entry(
        "L20",
        Reason.INVALID_OPTIONS,
        "block reuse with INT8 KV cache",
        (
            Pattern(
                "reuse",
                r"(?=.*(?:not |n't|cannot|unsupported|incompat|disab|exclu))(?:reuse.{0,90}int8"
                r"|int8.{0,90}reuse)",
            ),
        ),
        "KV cache block reuse does not work with an INT8 KV cache.",
        "Switch block reuse off, or use an FP8 KV cache.",
    ),
)
