"""Log excerpts of downloads, conversions, quantizations and builds; excerpts.py has them all."""

from __future__ import annotations

TRACE = "Traceback (most recent call last):"

OF_JOBS: list[tuple[str, str]] = [
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
    ("D5", 'Container builder exceeded its local ephemeral storage limit "{n}Gi".'),
    ("D11", "openai.BadRequestError: Error code: 400 - the tokenizer does not have a chat template"),
    ("C6", "RuntimeError: num_heads {n} cannot be evenly divided by tp_size 8"),
    ("Q11", "AssertionError: detected inf or nan values in amax"),
    ("B19", "ValueError: Max batch size {n}000 too large for EAGLE, should be <= 512"),
    ("C16", "RuntimeError: Unexpected shape of qkv weight: expected ({n}, 4096), got (4096, 4096)"),
]
