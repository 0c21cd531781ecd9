"""Surroundings of a failure: healthy output, wrappers, prefixes; the tests of diagnosis put excerpts between them."""

from __future__ import annotations

HEALTHY = """\
NOTE: CUDA Forward Compatibility mode ENABLED.
  Using CUDA 12.9 driver version 575.51 with kernel driver version 550.54.
[TensorRT-LLM] TensorRT-LLM version: 1.2.1
[11/20/2026-09:00:01] [TRT-LLM] [I] Set gpt_attention_plugin to auto.
[11/20/2026-09:00:01] [TRT-LLM] [I] Set use_paged_context_fmha to True.
[11/20/2026-09:00:01] [TRT-LLM] [I] Set context_fmha to True.
2026-11-20 09:00:02,101 - INFO - config: {'num_attention_heads': 28, 'num_key_value_heads': 4, 'pad_multiple': 64}
Namespace(model_dir='/m', tp_size=2, dtype='float16', trust_remote_code=True, load_model_on_cpu=False, workers=2)
{"num_attention_heads": 32, "quantization_config": {"quant_method": "modelopt", "group_size": 128}, "error": null}
Loading checkpoint shards: 100%|##########| 30/30 [00:10<00:00,  2.9it/s]
Setting `pad_token_id` to `eos_token_id`:2 for open-end generation.
`torch_dtype` is deprecated! Use `dtype` instead!
/usr/lib/python3.12/site-packages/torch/x.py:1: FutureWarning: `trust_remote_code` will default to False soon.
WARNING: retrying after 429 Client Error: Too Many Requests for url: https://huggingface.co/x [Retry 1/5]
Inserted 339 quantizers
[TRT] [W] Tactic Device request: 157500MB Available: 40339MB. Device memory is insufficient to use tactic.
[TRT] [E] [virtualMemoryBuffer.cpp::x::140] Error Code 2: OutOfMemory (Requested size was 9 bytes.)
[11/20/2026-09:01:00] [TRT] [E] Requested amount of GPU memory (99999999 bytes) could not be allocated.
[TRT] [W] UNSUPPORTED_STATE: Skipping tactic 9 due to insufficient memory on requested size of 157500.
[11/20/2026-09:01:01] [TRT] [W] Provided but not required tensors: {'transformer.rope_inv_freq'}
[TensorRT-LLM][WARNING] [json.exception.out_of_range.403] key 'lora_config' not found
node-0:41:88 [0] NCCL INFO Bootstrap : Using eth0:10.0.0.1<0>
node-0:41:88 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via SHM/direct/direct /dev/shm/nccl-x
kv_cache_config: free_gpu_memory_fraction=0.9 enable_block_reuse=True use_paged_context_fmha=True dtype=int8
trtllm-build --gather_context_logits --max_draft_len 0 --use_fp8_context_fmha disable --use_paged_context_fmha enable
BuildConfig(gather_context_logits=False, max_draft_len=0, gemm_swiglu_plugin=None, use_fused_mlp=True, eagle=256)
You are using a model of type llama to instantiate a model of type x. This can yield errors.
INFO:     10.0.0.9:5000 - "GET /health HTTP/1.1" 200 OK
INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)
[11/20/2026-09:05:00] [TRT-LLM] [I] Total time of building all engines: 00:04:00""".splitlines()

WRAPPERS = """\
[11/20/2026-09:09:00] [TRT-LLM] [E] Engine building failed, please check the error log.
RuntimeError: Executor worker returned error
--------------------------------------------------------------------------
MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD
with errorcode 1.
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
subprocess.CalledProcessError: Command '['python3', 'x.py']' returned non-zero exit status 1.""".splitlines()

PREFIXES = [
    "",
    "[1,3]<stderr>:",
    "[rank3]: ",
    "2026-11-20T09:00:00.123456789Z ",
    "2026-11-20T09:00:00.123456789Z stderr F ",
    "server-1  | ",
    "> ",
    "(RayWorkerWrapper pid=881, ip=10.0.0.3) ",
    "3: ",
    "\x1b[31m",
    "2026-11-20 09:00:00,123 [rank1]: ",
    "[pod/llama-0/server] ",
]


def excerpt(text: str, number: int = 1848) -> list[str]:
    """The lines of an excerpt with its number filled in."""
    return text.replace("{n}", str(number)).replace("{{", "{").replace("}}", "}").splitlines()
