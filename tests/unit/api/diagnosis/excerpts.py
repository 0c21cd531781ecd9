"""Log excerpts of our own for each entry of the catalogue: what a program says when that goes wrong.

`{n}` and the like are replaced by other numbers and paths in test_catalogue.py, so that no test depends on one.
"""

from __future__ import annotations

TRACE = "Traceback (most recent call last):"

EXCERPTS: list[tuple[str, str]] = [
    (
        "D1",
        (
            "huggingface_hub.errors.GatedRepoError: 401 Client Error. "
            "Cannot access gated repo for url https://huggingface.co/acme/big-7b/resolve/main/config."
            "json."
        ),
    ),
    (
        "D1",
        (
            "requests.exceptions.HTTPError: 403 Client Error: Forbidden "
            "for url: https://huggingface.co/acme/big-7b/resolve/main/config.json"
        ),
    ),
    ("D1", "OSError: You are trying to access a gated repo."),
    ("D1", "Access to model acme/big-7b is restricted and you are not in the authorized list. Visit the page to ask."),
    ("D1", "Invalid user token. The token from HF_TOKEN environment variable is invalid."),
    ("D1", "botocore.exceptions.ClientError: An error occurred (403) when calling the HeadObject operation: Forbidden"),
    (
        "D2",
        (
            "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: "
            "Too Many Requests for url: https://huggingface.co/api/models/x"
        ),
    ),
    ("D2", "HTTP Error 429 thrown while requesting HEAD https://huggingface.co/x/y/resolve/main/a.safetensors"),
    ("D3", "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge"),
    ("D3", "safetensors_rust.SafetensorError: Error while deserializing: incomplete metadata, file not fully covered"),
    ("D3", "SafetensorError: MetadataIncompleteBuffer"),
    ("D3", "_pickle.UnpicklingError: invalid load key, 'v'."),
    ("D3", "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory"),
    ("D4", "OSError: [Errno 28] No space left on device: '/store/rank{n}.safetensors'"),
    ("D4", "cp: error writing '/models/model-00003-of-00030.safetensors': No space left on device"),
    ("D4", "OSError: [Errno 122] Disk quota exceeded"),
    ("D5", "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 8Gi."),
    ("D5", "Pod ephemeral local storage usage exceeds the total limit of containers {n}Gi."),
    ("D6", "PermissionError: [Errno 13] Permission denied: '/.cache'"),
    ("D6", "PermissionError: [Errno 13] Permission denied: '/.triton/cache'"),
    ("D6", "mkdir: cannot create directory /.config: Permission denied"),
    ("D6", "OSError: [Errno 30] Read-only file system: '/home/app/.cache'"),
    (
        "D7",
        (
            "ValueError: The checkpoint you are trying to load has "
            "model type `nova{n}` but Transformers does not recognize "
            "this architecture."
        ),
    ),
    (
        "D7",
        TRACE
        + (
            '\n  File "/usr/lib/transformers/models/auto/configuration_auto.py", '
            "line 1, in __getitem__\n    raise KeyError(key)\nKeyError: "
            "'nova'"
        ),
    ),
    (
        "D8",
        (
            "ValueError: The repository for /models/m contains custom "
            "code which must be executed to correctly load the model."
        ),
    ),
    ("D8", "Please pass the argument `trust_remote_code=True` to allow custom code to be run."),
    ("D8", "ValueError: Loading /m requires you to execute the configuration file in that repo on your local machine."),
    ("D10", "ValueError: Tokenizer class AcmeTokenizer does not exist or is not currently imported."),
    (
        "D10",
        "OSError: Can't load tokenizer for '/models/m'. If you were trying to load it from the hub, check the name.",
    ),
    (
        "D11",
        (
            "ValueError: Cannot use chat template functions because "
            "tokenizer.chat_template is not set and no template argument "
            "was passed!"
        ),
    ),
    ("D12", "ValueError: Could not find any .safetensors or .bin files in /models/m{n}"),
    ("D12", "OSError: Error no file named pytorch_model.bin, model.safetensors found in directory /models/m."),
    ("D12", "AssertionError: find multiple safetensors files in /models/m"),
    ("X1", "OSError: acme/nothing is not a local folder and is not a valid model identifier listed on the hub"),
    ("X1", "huggingface_hub.errors.RevisionNotFoundError: 404 Client Error."),
    (
        "X2",
        (
            "requests.exceptions.ConnectionError: HTTPSConnectionPool"
            "(host='huggingface.co', port=443): Max retries exceeded "
            "with url: /x"
        ),
    ),
    ("X2", "OSError: We couldn't connect to 'https://huggingface.co' to load the files"),
    ("X3", "FileNotFoundError: [Errno 2] No such file or directory: '/models/m/generation.txt'"),
    (
        "X4",
        TRACE
        + (
            '\n  File "/lib/transformers/configuration_utils.py", '
            "line 8, in _dict_from_json_file\n    return json.loads"
            "(text)\njson.decoder.JSONDecodeError: Expecting value: "
            "line 1 column 1 (char 0)"
        ),
    ),
    ("C1", "AssertionError: Unsupported AWQ quantized checkpoint format"),
    ("C2", "ValueError: GPTQ checkpoint with desc_act=True is not supported"),
    ("C2", "ValueError: AutoConfig cannot load the huggingface config."),
    ("C2", "AttributeError: 'WQLinear_GEMM' object has no attribute 'weight'"),
    ("C2", "KeyError: 'model.layers.{n}.self_attn.q_proj.weight'"),
    ("C3", "TypeError: expected Tensor as element 0 in argument 0, but got int"),
    ("C5", "ValueError: GQA requires the number of K/V heads to match TP size"),
    (
        "C5",
        TRACE
        + (
            '\n  File "/x/convert_utils.py", line 12, in dup_kv_weight\n '
            "   assert tp_size % num_head == 0\nAssertionError"
        ),
    ),
    ("C5", "AssertionError: num_key_value_heads ({n}) must be divisible by tp_size (3)"),
    ("C6", "ValueError: num_attention_heads ({n}) must be divisible by tensor parallel size 8"),
    ("C6", "AssertionError: num_attention_heads must be divisible by tp_size"),
    (
        "C7",
        (
            "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: "
            "Number of bytes for rows and cols must be a multiple "
            "of 32. However, num_rows_bytes = {n} and num_col_bytes "
            "= 4096."
        ),
    ),
    (
        "C10",
        "RuntimeError: Assertion failed: The number of rows must be a multiple of 64 but the number of rows is {n}",
    ),
    ("C11", "ValueError: array split does not result in an equal division"),
    (
        "C12",
        TRACE
        + (
            '\n  File "/x/convert.py", line 12, in from_hugging_face\n '
            '   rotary_scaling["type"] = rope_scaling["type"]\nKeyError: '
            "'type'"
        ),
    ),
    ("C12", "KeyError: 'type'"),
    ("C12", "ValueError: `rope_scaling` must be a dictionary with two fields, `type` and `factor`, got {...}"),
    ("C14", "[12345.6] Out of memory: Killed process {n} (python3) total-vm:9999999kB, anon-rss:88888888kB"),
    (
        "C14",
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:83] err "
            "== 0. DefaultCPUAllocator: can't allocate memory: you "
            "tried to allocate {n}000 bytes. Error code 12"
        ),
    ),
    ("C14", "numpy.core._exceptions._ArrayMemoryError: Unable to allocate {n}.5 GiB for an array with shape (1, 2)"),
    ("C14", "MemoryError"),
    ("C14k", "Killed"),
    ("C14k", "/opt/convert.sh: line 7:    {n} Killed                  python3 convert_checkpoint.py --model_dir /m"),
    ("C14k", "mpirun noticed that process rank 6 with PID 0 on node worker exited on signal 9 (Killed)."),
    ("C16", "RuntimeError: shape '[{n}, 128, 4096]' is invalid for input of size 20971520"),
    ("C16", "ValueError: unexpected qkv weight shape (6144, 4096)"),
    ("C17", "ValueError: Weight input_size_per_partition = {n} is not divisible by weight quantization block_k = 128."),
    (
        "C17",
        (
            "AssertionError: Cannot pack weight with input dimension "
            "{n} and block size 128: partial blocks are not supported."
        ),
    ),
    ("C17", "AssertionError: Weight shape {n} of each TP tp=4 is not divisible for block size 128"),
    ("C17g", "AssertionError: {n} is not divisible by 7"),
    ("Q1", "ValueError: GPU is required for inference."),
    ("Q1", "RuntimeError: No CUDA GPUs are available"),
    ("Q1", "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"),
    ("Q2", "ValueError: Unsupported quantization format: int3_magic"),
    ("Q2", "AssertionError: The exporter supports only one quantization format"),
    ("Q3", "ConnectionError: Couldn't reach 'abisee/cnn_dailymail' on the Hub (LocalEntryNotFoundError)"),
    (
        "Q3",
        (
            "huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach "
            "https://huggingface.co/api/x: offline mode is enabled."
        ),
    ),
    ("Q4", "ValueError: Config name is missing."),
    ("Q4", "NotImplementedError: Unsupported dataset name or local repo directory: /data/calib{n}."),
    ("Q5", "huggingface_hub.errors.HFValidationError: Repository id must be 'namespace/name', got 'cnn_dailymail'."),
    (
        "Q6",
        (
            "Cannot export model to the model_config. The modelopt-optimized "
            "model state_dict (including the quantization factors) "
            "is saved to /out/m.pth"
        ),
    ),
    ("Q7", "NotImplementedError: Cannot copy out of meta tensor; no data!"),
    ("Q8", "AssertionError: Pad token for acme-{n}b cannot be set!"),
    (
        "Q9",
        TRACE
        + (
            '\n  File "/x/modelopt/torch/quantization/model_calib.py", '
            "line 1, in calibrate\n    forward_loop(model)\ntorch.OutOfMemoryError: "
            "CUDA out of memory. Tried to allocate {n}.00 GiB."
        ),
    ),
    ("Q11", "AssertionError: detected nan values in amax. nan in original tensor: True"),
    ("Q13", "AttributeError: 'QuantConfig' object has no attribute 'quantized_layers'"),
    ("Q13", 'ValueError: "QuantConfig" object has no field "quantized_layers"'),
    (
        "Q14",
        TRACE
        + (
            '\n  File "/x/qlinear.py", line 2, in __init__\n    assert '
            "self.in_features % self.group_size == 0\nAssertionError"
        ),
    ),
    (
        "M1",
        "ValueError: The effective_bits target {n}.0 is infeasible; the minimum achievable effective bits is 99.7143.",
    ),
    ("M2", "NotImplementedError: Duplicating KV heads per-channel scales is not supported"),
    ("M3", "NotImplementedError: Unsupported model type: acme_moe"),
    ("B1", "[TRT] [E] Error Code 9: API Usage Error (Networks with FP8 precision require hardware with FP8 support.)"),
    ("B2", "ValueError: FP8 FMHA cannot be enabled except on Ada or Hopper or Blackwell arch."),
    ("B3", "RuntimeError: [TensorRT-LLM][ERROR] Arch unsupported for CUTLASS gated GEMM"),
    ("B4", "RuntimeError: [TensorRT-LLM Error] W4A(fp)8 kernel is unsupported on pre-Ada (sm<89) architectures!"),
    ("B5", "NotImplementedError: SmoothQuant is not supported on SM>=100"),
    ("B5", "NotImplementedError: INT4 AWQ not supported on SM>=100"),
    ("B6", "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: No valid weight only groupwise GEMM tactic"),
    (
        "B7",
        (
            "ValueError: The value updated is not the same shape as "
            "the original. Updated: ({n}, 1024), original: (4096, "
            "2048)"
        ),
    ),
    ("B8", "RuntimeError: Provided tensor names are different from those expected by the engine."),
    ("B8", "RuntimeError: Required but not provided tensors:{{'transformer.layers.{n}.mlp.fc.scale'}}"),
    ("B10", "RuntimeError: Assertion failed: Size per head is not a multiple of 8 (/src/gptAttention.cpp:22)"),
    (
        "B11",
        (
            "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: "
            "Unsupported architecture (/src/kernels/contextFusedMultiHeadAttention/fmhaRunner.cpp:{n}"
            ")"
        ),
    ),
    (
        "B13",
        (
            "[11/02/2026-10:00:00] [TRT] [E] Error Code: 10: Could "
            "not find any implementation for node {{ForeignNode[transformer/layers/{n}/a...b]}}."
        ),
    ),
    (
        "B14",
        (
            "[11/02/2026-10:00:00] [TRT] [E] [resize.cpp::x::140] "
            "Error Code 2: OutOfMemory (Requested size was {n}000000 "
            "bytes.)"
        ),
    ),
    ("B14", "[11/02/2026-10:00:00] [TRT] [E] Requested amount of GPU memory ({n}000000 bytes) could not be allocated."),
    ("B15", "trtllm-build: error: unrecognized arguments: --use_gemm_plugin float16"),
    ("B15", "Error: No such option: --kv_cache_fraction"),
    ("B16", "ModuleNotFoundError: No module named 'tensorrt'"),
    ("B16", "/bin/bash: line 1: trtllm-build: command not found"),
    ("B16", "sh: {n}: trtllm-build: not found"),
    ("B17", "RuntimeError: Unsupported model architecture: AcmeForCausalLM"),
    ("B18", "RuntimeError: gather_context_logits can not be used with max_draft_len > 0"),
    ("B18", "RuntimeError: multiple_profiles is enabled, while opt_num_tokens is set. They are not supported together"),
    ("B19", "ValueError: EAGLE engine batch size {n} must not exceed 512"),
    ("B20", "[11/02/2026-10:00:00] [TRT-LLM] [W] Paged Context FMHA is disabled because int8 KV cache is used"),
    (
        "B22",
        TRACE
        + (
            '\n  File "/x/modeling_utils.py", line 5, in from_checkpoint\n '
            "   assert os.path.isfile(weights_path)\nAssertionError"
        ),
    ),
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
    ("D5", 'Container builder exceeded its local ephemeral storage limit "{n}Gi".'),
    ("D11", "openai.BadRequestError: Error code: 400 - the tokenizer does not have a chat template"),
    ("C6", "RuntimeError: num_heads {n} cannot be evenly divided by tp_size 8"),
    ("Q11", "AssertionError: detected inf or nan values in amax"),
    ("B19", "ValueError: Max batch size {n}000 too large for EAGLE, should be <= 512"),
    ("S28", "NCCL WARN Call to posix_fallocate failed: No space left on device"),
    ("C16", "RuntimeError: Unexpected shape of qkv weight: expected ({n}, 4096), got (4096, 4096)"),
    # wordings of our own for what was generalised; {{ }} are braces
    (
        "C4",
        TRACE + '\n  File "/x/commands/build.py", line {n}, in main\n    PretrainedConfig.from_json_file(path)\n'
        "KeyError: 'architecture'",
    ),
    ("C16n", "KeyError: 'decoder.blocks.{n}.ffn.up_weight'"),
    ("C16n", "RuntimeError: Error(s) in loading state_dict for TinyDecoder:"),
    ("C16n", "ValueError: There is no module or parameter named 'head.extra' in TinyDecoder"),
    (
        "C16",
        (
            'ValueError: Trying to set a tensor of shape torch.Size([{n}, 8]) in "mlp.scale" '
            "(which has shape torch.Size([4, 8]))"
        ),
    ),
    ("C16", "RuntimeError: mat1 and mat2 shapes cannot be multiplied ({n}x64 and 32x16)"),
    (
        "C6",
        TRACE
        + '\n  File "/srv/tp.py", line {n}, in split\n'
        + '    assert self.cfg["num_heads"] % self.ranks == 0\nAssertionError',
    ),
    ("C14", "slurmstepd: error: Detected {n} oom_kill events in step 7."),
    ("B2", "RuntimeError: Assertion failed: FP8 FMHA cannot be used on this older card"),
    ("B10", "RuntimeError: Assertion failed: Size per head is not a multiple of N (attention.cpp:{n})"),
    ("B11g", "RuntimeError: Check failed: sm == 100: Unsupported architecture (runner.cuh:{n})"),
    ("B11g", "RuntimeError: the sparse attention path only supports Hopper"),
    ("B11g", "ValueError: this device does not support NVFP4 matmuls natively"),
    ("B11g", "ValueError: this dtype is only supported on GPUs with compute capability 9.0 or more"),
    ("B11g", "[TRT] [E] API usage: networks in BF16 precision require hardware with BF16 support"),
    ("B13e", "[TRT] [E] IBuilder::frob: Error Code 4: Internal Error (a tensor has no shape)"),
    ("B17", "KeyError: 'NovaForCausalLM'"),
    ("L2", "RuntimeError: Assertion failed: p == a + size (/src/plugins/thing/thingPlugin.cpp:{n})"),
    (
        "L2",
        "{n}  0x7f plugins::ThingCreator::deserializePlugin(char const*, void const*, unsigned long) + 50",
    ),
    ("L5", "ERROR loading model: [json.exception.type_error.302] type must be array, but is number"),
    ("L7", "ValueError: the world size should be divisible by the tensor parallel size"),
    ("L9", "ValueError: tensor parallel size {n} is larger than the number of visible GPUs"),
    ("L9", "RuntimeError: not enough GPUs for this group"),
    ("L11", "RuntimeError: Cannot enable access between GPU 0 and GPU 1"),
    ("L14", "nvidia-container-cli: requirement error: unsatisfied condition: driver >= 570"),
    ("L15", "RuntimeError: CUDA runtime error in cudaFrobPool: operation not supported (pool.cpp:{n})"),
    ("L17", "ValueError: max_seq_len ({n}) is larger than what fits into the KV cache (512)"),
    ("L17", "ValueError: {n} GiB KV cache is needed, more than the available 3 GiB"),
    (
        "L12",
        TRACE
        + '\n  File "/x/ipc_memory.py", line {n}, in open\n'
        + "    cudaIpcOpen(handle)\nRuntimeError: cudaErrorInvalidDevice",
    ),
    ("Q1", "nvidia-container-cli: initialization error: load library failed: libfrob.so"),
    ("Q1", "RuntimeError: Unexpected error from cudaGetDeviceCount(): did something unload the driver? Error 802"),
    ("Q4", TRACE + "\n  File \"/x/calib_loader.py\", line {n}, in rows\n    yield row[key]\nKeyError: 'article'"),
    ("Q4", "ValueError: BuilderConfig 'tiny' not found. Available: ['full']"),
    ("Q11", "AssertionError: input quantizer 3 has no _amax"),
    ("Q14", "ValueError: columns must be divisible by the group_size 128"),
    (
        "M3",
        TRACE
        + '\n  File "/x/modelopt/torch/export/walk.py", line {n}, in visit\n'
        + "    raise NotImplementedError(kind)\nNotImplementedError: NovaExperts",
    ),
    ("S6", "AttributeError: NovaForCausalLM does not support AWQ weights yet."),
    ("S11", "ValueError: GGUF models of architecture nova{n} are not supported"),
    ("S15", "yaml.scanner.ScannerError: mapping values are not allowed here"),
    ("S18c", "ValueError: the input has {n} tokens, which exceeds the maximum of 4096"),
    ("S18c", "This model's maximum context length is 4096 tokens. However, you requested {n} tokens"),
    ("S19", "ValueError: the given max_seq_len ({n}) is greater than the model's max_position_embeddings (4096)"),
    ("S20", "ValueError: shape (1, 9) cannot be bound, engine supports [min, opt, max] = [(1, 1), (1, 4), (1, 8)]"),
    ("S26", "The ssh: connect to host trt-{n}-1 port 22: Connection refused"),
    ("S26i", "  orte_init failed for rank {n}"),
    ("S26i", "*** An error occurred in MPI_Init_thread"),
    ("S26w", "The worker trt-{n} has not been heard of for 30 s."),
    ("S26w", "MPI's daemon in the pod trt-{n} ended with exit code 255."),
    ("S28m", "node-1:7:9 [0] NCCL WARN Call to ibv_reg_mr failed with error Cannot allocate memory"),
    ("S35", "ERROR: server received SIGTERM, stopping"),
    ("G1", "[thing.cpp] cudaError {n}: 2 (out of memory) in resume"),
    ("G3", "RuntimeError: Failed to launch cutlass grouped gemm (status {n})"),
    ("G3", "RuntimeError: Assertion failed: Error occurred when running the batched GEMM"),
    ("G4", "RuntimeError: Assertion failed: NCCL error comm.cpp:{n} 'invalid usage'"),
    ("G4", "RuntimeError: Failed: MPI error comm.cpp:{n} '6'"),
    ("G4", "RuntimeError: c10d rendezvous on trt-0 failed to connect after {n} s"),
    ("G5", "ImportError: reading this file needs the package `frobcodec` is not installed"),
    ("G5", "RuntimeError: Failed to find C compiler. Set CC."),
    ("G6", "AttributeError: 'NovaConfig' object has no attribute 'rope_mix'"),
    ("D1", 'ERROR fetch: reqwest::Error {{ kind: Status(403), url: "https://cdn.example/x" }}'),
    ("D3", "ValueError: sha256 mismatch of model-{n}.safetensors"),
    ("D10", "ValueError: Converting from SentencePiece or tiktoken failed for this vocabulary"),
    ("D10", "RuntimeError: failed to load the fast tokenizer of this model"),
    ("D11", "ValueError: since this release a default chat template is no longer allowed; provide a chat template"),
    ("X1", "ERROR: Repository not found: acme/nova-{n}b"),
    ("X2", "RuntimeError: CAS service error: the body ended early"),
    ("X2", "requests.exceptions.HTTPError: 503 Server Error: Unavailable for url: https://huggingface.co/api/x"),
    ("X2", "ERROR: GET https://huggingface.co/api/models/x: connection timed out"),
    ("X4", "ERROR: [json.exception.parse_error.101] parse error at line {n}: unexpected end of input"),
    ("L19", "RuntimeError: with block reuse on, the engine has to be built with paged context FMHA"),
    ("L5", "[TensorRT-LLM][ERROR] forward: Input tensor 'frob_length_{n}' not found; expected shape (1)"),
    ("M3", TRACE + "\n  File \"/x/modelopt/torch/export/walk.py\", line {n}, in visit\nKeyError: 'parallel_frob'"),
    ("X3", "ValueError: the adapter's path does not exist: /adapters/{n}"),
    ("X3", "ERROR loader: failed to open '/models/x/{n}.bin'"),
    ("G3", "RuntimeError: CUDA runtime error in cudaFrob(): invalid configuration argument (frob.cu:{n})"),
    ("S36", "[TensorRT-LLM][ERROR] Assertion failed: Frobbing must be off for encoder models (/src/frob.cpp:{n})"),
    ("S36", "  what():  Assertion failed: Lookahead is only supported for greedy decoding (/src/frob.cpp:{n})"),
    ("B11g", "ValueError: dtype bf16 is not supported on this GPU"),
    ("S24", "All of the nodes that were allocated to this run are already filled."),
    ("D1", "HfHubHTTPError: Client error '401 Unauthorized' for url 'https://huggingface.co/acme/big/resolve/main/x'"),
    ("D1", "Cannot read it. Make sure your token has the correct permissions."),
    ("D3", "RuntimeError: PytorchStreamReader failed finding the directory"),
    ("D3", "EOFError: Ran out of input"),
    ("D4", "RuntimeError: PytorchStreamWriter failed writing file data/{n}: write failed"),
    ("D6", "  what():  filesystem error: cannot create directory: Permission denied [/.triton]"),
    ("D6", "    PermissionError: [Errno 13] Permission denied:"),
    ("D7", "KeyError: 'qwen9_moe'"),
    ("D8", "ValueError: The repository ./m references custom code in acme/y, which must be executed to load it."),
    ("D8", "ValueError: this model needs trust_remote_code"),
    ("D10", "ValueError: Unrecognized configuration class <class 'a.B'> to build an AutoTokenizer."),
    ("D10", TRACE + '\n  File "/x/sentencepiece/__init__.py", line {n}, in Load\n    f(x)\nTypeError: not a string'),
    ("D12", "RuntimeError: No weight files found in /models/m."),
    ("D12", "RuntimeError: Cannot find any model weights with `/models/m`"),
    ("D12", "ValueError: /models/m is not a folder containing a `.index.json` file or a model.safetensors file"),
    ("D12", "AssertionError: No *.safetensors file was found under /models/m"),
    ("D12", "ValueError: Could not find checkpoint files in /models/m"),
    ("C1", "AssertionError: Quantized checkpoint format is not supported!"),
    ("C5", "AssertionError: this needs the number of heads to be divisible by the number of K/V heads."),
    ("C5", "AssertionError: unclear how the 4 KV heads are distributed among {n} checkpoints."),
    ("C5", "ValueError: Cannot split 4 kv_heads over {n} gpus"),
    ("C12", "ValueError: Unsupported rotary scaling type: llama9"),
    ("C12", "AssertionError: rope_scaling type spiral not supported"),
    ("C14k", "   123{n} killed     python3 convert.py --model_dir m"),
    ("C16", "RuntimeError: split_with_sizes expects split_sizes to sum exactly to {n} but got split_sizes=[8, 1, 1]"),
    ("C16", "RuntimeError: start (0) + length ({n}) exceeds dimension size (1024)."),
    ("C16", "RuntimeError: The expanded size of the tensor ({n}) must match the existing size (2048) at dimension 0."),
    ("C16", "ValueError: could not broadcast input array from shape ({n},) into shape (5120,)"),
    ("C16n", "KeyError: 'lm_head.weight_quantizer._amax'"),
    ("C17", "ValueError: FFN Hidden Size {n} is not a multiple of TP size 5"),
    ("C17g", "ValueError: Block size 128 does not divide {n}"),
    ("Q1", "RuntimeError: CUDA driver initialization failed, is there a card?"),
    ("Q1", "pynvml.NVMLError_DriverNotLoaded: not loaded"),
    ("Q1", "pynvml.NVMLError_LibraryNotFound: NVML Shared Library Not Found"),
    ("Q1", "CUDA_ERROR_NO_DEVICE"),
    ("Q1", "RuntimeError: CUDA unknown error - is the environment right?"),
    ("Q1", "ValueError: there is no GPU available for this"),
    ("Q2", "AssertionError: Got unsupported AMMO quantization format, int{n}"),
    ("Q2", "ValueError: Unsupported quant_algo: FOO{n}"),
    ("Q2", "NotImplementedError: int8 quant of this has not been supported so far"),
    ("Q4", "DataFilesNotFoundError: No (supported) data files found in /data/{n}"),
    ("Q4", "EmptyDatasetError: The directory at /data/{n} doesn't contain any data files"),
    ("Q4", "ValueError: Unsupported dataset: foo{n}. Take another"),
    ("Q7", "RuntimeError: item() cannot be called on meta tensors"),
    ("Q7", "RuntimeError: Tensor on device cuda:0 is not on the expected device meta!"),
    ("Q7", "ValueError: weight is on the meta device, we need a value for it"),
    ("Q7", "ValueError: layers.{n}.w doesn't have any device set."),
    ("Q7", "NotImplementedError: aten::equal: attempted to run this operator with Meta tensors, but no kernel"),
    ("Q7", "NotImplementedError: Could not run 'aten::equal' with arguments from the 'Meta' backend."),
    ("Q8", "AssertionError: the tokenizer has no pad_token"),
    ("Q11", "AssertionError: detected inf values in amax."),
    ("Q11", "RuntimeError: Calibrator returned None. It has seen no tensor."),
    ("Q11", "AssertionError: Found NaN in the scaling factors"),
    ("Q11", "UserWarning: Missing amax value for input_quantizer in Linear."),
    ("M1", "AssertionError: The effective_bits 3.5 constraint cannot be lower than a format whose num_bits = 4.0."),
    ("M2", "NotImplementedError: Duplicating KV heads of such a shape is not supported"),
    ("M3", "NotImplementedError: Frob{n}Experts"),
    ("M3", "NotImplementedError: the MoE model is not supported"),
    ("B6", "[TensorRT-LLM][ERROR] Assertion failed: No valid weight only per-channel GEMM tactic (/x.cpp:{n})"),
    ("B6p", "what(): Assertion failed: Can't free tmp workspace for GEMM tactics profiling. (/x.cpp:{n})"),
    ("B6p", "what(): Assertion failed: frob > 0 (/src/gemmPluginProfiler.cpp:{n})"),
    ("B6p", "what(): Assertion failed: Have not found an optimal GEMM config (/src/x.cpp:{n})"),
    ("B7", "RuntimeError: Failed to set weight: transformer.layers.{n}.qkv.weight"),
    ("B10", "what(): Assertion failed: Head size {n} is not supported by this kernel. (/x.cpp:{n})"),
    ("B10", "RuntimeError: head_size {n} not supported"),
    ("B10", "RuntimeError: head dim {n} is not supported"),
    ("B10", "RuntimeError: head_dim {n} is not supported"),
    ("B11g", "what(): Assertion failed: Unsupported data type, pre SM 80 GPUs do not support bfloat16 (/x.cpp:{n})"),
    ("B11g", "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: {n}"),
    ("B11g", "AssertionError: fp8e4nv data type is not supported on CUDA arch < {n}"),
    ("B15", "Error: Got unexpected extra argument (foo)"),
    ("B15", "x: error: argument --plugin: expected one argument"),
    ("B17", "ValueError: Unsupported architecture: Frob{n}ForCausalLM"),
    ("B18", "AssertionError: the GemmSwiGLU plugin requires --use_fused_mlp"),
    ("B19", "Assertion failed: Batch size larger than {n} is not supported for EAGLE (/x.cu:1)"),
    ("B22", "what(): Assertion failed: Error opening engine file: /e/rank{n}.engine (/x.cpp:1)"),
    ("L2", "[TRT] [E] Error Code 1: Serialization (Platform specific tag mismatch detected.)"),
    ("L2", "[TRT] [E] Serialization assertion plan->header.pad == expectedTag failed."),
    ("L2", "AssertionError: the engine was built with TensorRT-LLM 0.{n} but the runtime is 9"),
    ("L4", "AttributeError: 'NoneType' object has no attribute 'create_execution_context'"),
    ("L4", '  File "/x/generation.py", line {n}, in f\n    assert self.engine is not None\nAssertionError'),
    ("L5", "[TensorRT-LLM][ERROR] [json.exception.type_error.305] cannot use operator[] with an array"),
    ("L5", "RuntimeError: Tensor names (frob) in engine are not the same as expected"),
    ("L7", "ValueError: tp_size must equal to moe_tp_size * moe_ep_size"),
    ("L9", "AssertionError: tp_size 4 exceeds available GPU count {n}"),
    ("L17", "RuntimeError: Can't allocate new block for this sequence"),
    ("L17", "ValueError: No memory left for KV cache"),
    ("L18", "what(): Assertion failed: The model requires a packed input tensor. (/x:{n})"),
    ("S4", "what(): Assertion failed: Trtllm-gen kernels not found: layout={n} (/x:1)"),
    ("S4", "RuntimeError: Missing TRTLLM-GEN kernel: layout={n}"),
    ("S8", "ValueError: Expected weight_block_size to be [128, 128], got [{n}, {n}]"),
    ("S12", "AssertionError: num_experts ({n}) % ep_size (7) != 0"),
    ("S12", "ValueError: experts ({n}) cannot be evenly distributed over 7 ranks"),
    ("S15", "ValueError: Invalid keyword argument(s) for LlmArgs: frob"),
    ("S18", "what(): Assertion failed: Input length ({n}) + draft must be less than max sequence length (80). (/x:1)"),
    ("S18c", "what(): Assertion failed: Sequence length is too long for the frob kernel (not enough shared memory)."),
    ("S18c", "what(): Assertion failed: Max input length is equal to or larger that maxSequenceLength. (/x:1)"),
    ("S20", "what(): Assertion failed: max_context_len <= mMaxContextLength (/x.cpp:{n})"),
    ("S20", "what(): Assertion failed: Tensor 'input_ids' has invalid shape ({n}), expected (-1) (/x:1)"),
    ("S22", "RuntimeError: Draft tokens {n} exceeds max_draft_len 5"),
    ("S26", "An ORTE daemon has unexpectedly failed after launch"),
    ("S26", "A daemon (pid {n}) died unexpectedly with status 255 while attempting"),
    ("S26", "bash: orted: command not found"),
    ("S26i", "mpirun does not support recursive calls"),
    ("S26i", "mpirun was unable to launch the specified application as it has no permission"),
    ("S28", "RuntimeError: unable to write to file </torch_{n}_0>: No space left on device (28)"),
    ("S28n", "Failed, NCCL error /x/plugin.cpp:{n} 'unhandled system error (run with NCCL_DEBUG=INFO for details)'"),
    ("S31", "OSError: [Errno 13] error while attempting to bind on address ('0.0.0.0', {n}): permission denied"),
    ("X2", "httpx.ConnectError: [Errno -3] Temporary failure in name resolution"),
    ("G5", "ImportError: the frob toolkit is not installed. Please do."),
    ("D1", "Repo model acme/big-7b is gated. You must be authenticated."),
    ("D11", "  what():  The tokenizer does not include chat template"),
    ("D12", "FileNotFoundError: no safetensors or bin weights in /models/m"),
    ("C12", "ValueError: rope_scaling must contain keys {{'type', 'factor'}}"),
    ("C16n", "AttributeError: 'FrobLinear' object has no attribute 'weight_scale'"),
    ("Q7", "RuntimeError: Expected one device, but found at least two devices, cpu and meta!"),
    ("Q11", "RuntimeError: Calibrator returned None. Passing 'strict=False' to `load()` will ignore the error."),
    ("B13e", "[E] [TRT] [builder.cpp::x::{n}] Error Code 7: Internal Error (Assertion frob failed. )"),
    ("G3", "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."),
    ("G4", "torch.distributed.DistStoreError: Timed out after {n} seconds waiting for clients."),
]
