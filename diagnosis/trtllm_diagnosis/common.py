"""Literals of the catalogue that healthy logs are full of, and how a line complains; scan.py asks."""

from __future__ import annotations

import re
from typing import Final

COMMON: Final = frozenset(
    {
        "heads",
        "gpu",
        "quant",
        "fp8",
        "fp4",
        "world",
        "world size",
        "reuse",
        "prompt",
        "nan",
        "eagle",
        "expert",
        "experts",
        "amax",
        "nccl",
        "lora",
        "paged",
        "qkv",
        "executor",
        "assert",
        "429",
        "resolve",
        "rope",
        "trtllm-",
        "deserialize",
        "daemon",
        "cudamalloc",
        ".engine",
        ".safetensors",
        "key '",
        "architecture",
        "divisible",
        "group_size",
        "groupsize",
        "group size",
        "fmha",
        "ipc",
        "loop",
        "block_size",
        "context fmha",
        "context_fmha",
        "gather_context_logits",
        "gemm_swiglu",
        "dev/shm/",
        "multiple of",
        "shared memory",
        "trust_remote_code",
        "invalid ",
        "chat template",
        "paged kv cache",
        "kv cache",
        "nvidia-smi",
        "desc_act",
        "qweight",
        "in_features",
        "multiple_profiles",
        "streamingllm",
        "cuda",
        "tokenizer",
        "tiktoken",
        "peer",
        "gpus",
        "turing",
        "hopper",
        "blackwell",
        "ampere",
        "server error",
        "mismatch",
        "ssl",
        "error code",
        "dimension",
    }
)
"""Literals that healthy logs are full of; they count in a line that complains."""
COMPLAINTS: Final = re.compile(
    r"not |n't|\bno |must|should|error|fail|requir|need|unsupported|exceed|only|mismatch|!=|invalid|assert|crash|died"
    r"|dead|larg|greater|long|disabl|ignor|off|detect|cannot|expected|wrong|unknown|missing|insufficient|out of"
    r"|conflict|unable|refus|too |never|impossible|illegal|abort|allow|fmharunner|fall|custom|trust|killing"
)
