"""Log excerpts of servers, and of what befalls any process; excerpts.py has them all."""

from __future__ import annotations

TRACE = "Traceback (most recent call last):"

OF_SERVERS: list[tuple[str, str]] = [
    (
        "L1",
        (
            "[TensorRT-LLM][ERROR] IRuntime::deserializeCudaEngine: "
            "Error Code 6: The engine plan file is generated on an "
            "incompatible device, expecting compute 8.6 got compute "
            "8.0, please rebuild."
        ),
    ),
    (
        "L2",
        (
            "[TensorRT-LLM][ERROR] Error Code 6: The engine plan file "
            "is not compatible with this version of TensorRT, expecting "
            "library version 10.{n} got 10.14, please rebuild."
        ),
    ),
    (
        "L3",
        (
            "[TensorRT-LLM][WARNING] Using an engine plan file across "
            "different models of devices is not recommended and is "
            "likely to affect performance"
        ),
    ),
    (
        "L4",
        (
            "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: "
            "Failed to deserialize cuda engine. (/src/tllmRuntime.cpp:{n})"
        ),
    ),
    ("L5", "[TensorRT-LLM][ERROR] [json.exception.out_of_range.403] key 'builder_config' not found"),
    ("L6", "AssertionError: Engine world size ({n}) != Runtime world size (1)"),
    (
        "L7",
        (
            "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: "
            "MPI size 1 != TP size {n} * PP size 1 (/src/worldConfig.cpp:99)"
        ),
    ),
    ("L7", "RuntimeError: Assertion failed: mpiSize == tp * pp (/src/worldConfig.cpp:99)"),
    ("L7", "ValueError: world_size must equal to tp_size * pp_size * cp_size, but got 4 != 2 * 1 * 1"),
    ("L9", "RuntimeError: Assertion failed: Number of GPUs per node 2 must be at least as large as TP (4)"),
    ("L9", "ValueError: Only 8 GPUs are available, but 16 are required."),
    ("L9", "RuntimeError: CUDA error: invalid device ordinal"),
    (
        "L11",
        (
            "RuntimeError: [TensorRT-LLM][ERROR] CUDA runtime error "
            "in cudaDeviceEnablePeerAccess: peer access is not supported "
            "between these two devices"
        ),
    ),
    ("L12", "RuntimeError: CUDA runtime error in cudaIpcOpenMemHandle(&p, handle, 1): invalid device ordinal 101"),
    ("L13", "RuntimeError: CUDA error: no kernel image is available for execution on the device"),
    (
        "L14",
        (
            "ERROR: This container was built for NVIDIA Driver Release "
            "570.{n} or later, but version 535.1 was detected and "
            "compatibility mode is UNAVAILABLE."
        ),
    ),
    (
        "L14",
        (
            "nvidia-container-cli: requirement error: unsatisfied "
            "condition: cuda>=12.9, please update your driver to a "
            "newer version"
        ),
    ),
    (
        "L16",
        (
            "RuntimeError: [TensorRT-LLM][ERROR] CUDA runtime error "
            "in ::cudaMallocAsync(ptr, n, mMemPool->getPool(), mCudaStream->get"
            "()): out of memory"
        ),
    ),
    (
        "L17",
        (
            "RuntimeError: Assertion failed: maxTokensInPagedKvCache "
            "({n}) must be large enough to process at least 1 sequence "
            "to completion (i.e. must be larger than beam_width * "
            "tokensPerBlock (4096))"
        ),
    ),
    ("L17", "RuntimeError: Impossible to fit in any sequence in kvCache"),
    ("L18", "RuntimeError: The batch manager requires GPT attention plugin with packed input and paged KV cache."),
    ("L19", "RuntimeError: KV cache block reuse requires an engine with paged context FMHA"),
    ("L20", "RuntimeError: KV cache reuse is not supported with int8 kv cache"),
    ("S1", "RuntimeError: [TensorRT-LLM][ERROR] Arch unsupported for CUTLASS FP4 GEMM"),
    ("S1", "RuntimeError: FP4 Gemm not supported before Blackwell, or GeForce"),
    ("S2", "RuntimeError: Unsupported SM version for FP8 block scaling GEMM"),
    (
        "S4",
        "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: FMHA kernels are not found (kernel meta info: 64 {n})",
    ),
    (
        "S6",
        (
            "NotImplementedError: Unsupported quantization_config: "
            "{{'bits': {n}, 'quant_method': 'awq', 'zero_point': True}}."
        ),
    ),
    ("S7", "ValueError: Pre-quantized checkpoint must have quant_algo."),
    ("S7", "RuntimeError: Specified quant_algo=FP8, conflicting with quant_algo=NVFP4 from HF quant config."),
    ("S8", "NotImplementedError: FP8_BLOCK_SCALES only supports block_size=(128,128)."),
    ("S8", "ValueError: NVFP4 only supports group_size=16"),
    ("S11", "ValueError: Unknown architecture for AutoModelForCausalLM: AcmeForCausalLM"),
    ("S11", "ValueError: The given huggingface model architecture AcmeForCausalLM is not supported in TRT-LLM yet"),
    ("S12", "AssertionError: Number of experts {n} is not a multiple of EP size 3"),
    (
        "S13",
        TRACE
        + (
            '\n  File "/x/tensorrt_llm/_torch/modules/attention.py", '
            "line 2, in __init__\n    assert self.num_heads % (tp "
            "* cp) == 0\nAssertionError"
        ),
    ),
    (
        "S15",
        (
            "pydantic_core._pydantic_core.ValidationError: 1 validation "
            "error for TorchLlmArgs\nkv_cache\n  Extra inputs are "
            "not permitted [type=extra_forbidden, input_value=1, input_type=int]"
        ),
    ),
    ("S16", "RuntimeError: Executor creation failed due to insufficient GPU memory."),
    ("S16m", "The following component could not be created: Model\nTotal GPU memory (GiB): {n}.1"),
    ("S16k", "The following component could not be created: KV cache"),
    ("S16s", "The following component could not be created: Sampler"),
    ("S18", "ValueError: The sum of prompt length ({n}), query length (1) should not exceed max_num_tokens (8192)"),
    ("S20", "[TensorRT-LLM][ERROR] 3: Runtime dimension does not satisfy any optimization profile."),
    ("S22", "RuntimeError: Number of draft tokens ({n}) is larger than maximum number of draft tokens (5)"),
    ("S23", "RuntimeError: Assertion failed: Invalid low_rank ({n}). low_rank must be smaller than mMaxLowRank (32)"),
    ("S24", "There are not enough slots available in the system to satisfy the {n}"),
    ("S25", "  getting local rank failed\n  --> Returned value No permission (-17) instead of ORTE_SUCCESS"),
    ("S26", "ORTE was unable to reliably start one or more daemons."),
    ("S26", "ssh: Could not resolve hostname trt-{n}-1.trt: Name or service not known"),
    ("S28", "[worker:{n}] Signal: Bus error (7)\n[worker:{n}] Signal code: Non-existant physical address (2)"),
    (
        "S28",
        (
            "NCCL WARN Error: failed to extend /dev/shm/nccl-AbCd{n} "
            "to 33030532 bytes, error: No space left on device (28)"
        ),
    ),
    ("S28n", "RuntimeError: NCCL error: unhandled system error, NCCL version 2.27.{n}"),
    ("S29", "ncclInvalidUsage: Duplicate GPU detected : rank 1 and rank 0 both on CUDA device {n}000"),
    ("S31", "RuntimeError: Failed to bind socket to localhost:{n}"),
    ("S31", "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use"),
    ("S32", "[TRT-LLM] [E] Executor loop crashed on this rank; hard-killing the process"),
    ("S34", "Container server failed startup probe, will be restarted"),
    (
        "G1",
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to "
            "allocate {n}.00 GiB. GPU 0 has a total capacity of 79.10 "
            "GiB of which 1.20 GiB is free."
        ),
    ),
    (
        "G1",
        (
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried "
            "to allocate {n}.00 MiB (GPU 0; 23.69 GiB total capacity)"
        ),
    ),
    ("G1", "RuntimeError: CUDA error: out of memory"),
    ("G2", "NVRM: Xid (PCI:0000:3b:00): 79, pid={n}, GPU has fallen off the bus."),
    ("G3", "RuntimeError: CUDA error: an illegal memory access was encountered"),
    ("G4", "[rank3]:[E1124 Watchdog caught collective operation timeout: WorkNCCL(SeqNum={n}, OpType=ALLREDUCE)"),
    ("G5", "ModuleNotFoundError: No module named 'flashinfer'"),
    ("G6", "ImportError: /x/libth_common.so: undefined symbol: _ZN3c1021throwNullDataPtrErrorEv"),
    ("G7", "exec /usr/local/bin/trtllm-serve: exec format error"),
    ("G8", "Segmentation fault (core dumped)"),
    ("G9", "error: argument --dtype: invalid choice: 'fp{n}' (choose from 'float16', 'bfloat16')"),
    ("S28", "NCCL WARN Call to posix_fallocate failed: No space left on device"),
]
