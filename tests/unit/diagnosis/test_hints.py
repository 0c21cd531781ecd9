from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trtllm_api.reasons import Reason
from trtllm_diagnosis import Certainty, Scanner, diagnose
from trtllm_diagnosis.kinds import HINTS

sys.path.insert(0, str(Path(__file__).parent))

from logs import HEALTHY, WRAPPERS

TRACE = "Traceback (most recent call last):"
FRAME = '  File "/opt/frob/engine/version.py", line 3, in frob'
Reason = Reason

UNKNOWN_ERRORS = [
    (Reason.SHARED_MEMORY_TOO_SMALL, "OSError: /dev/shm has no room for this tensor"),
    (Reason.HOST_OUT_OF_MEMORY, "RuntimeError: the cgroup's memory limit is exceeded"),
    (Reason.GPU_OUT_OF_MEMORY, "RuntimeError: there is not enough device memory for the frobs"),
    (Reason.GPU_OUT_OF_MEMORY, "ValueError: Free memory on device (10/79 GiB) is less than desired"),
    (Reason.ARCHITECTURE_NOT_SUPPORTED, "AssertionError: Unsupported Frob type: frob9, only frob1 is acceptable"),
    (Reason.INVALID_OPTIONS, "RuntimeError: Assertion failed: speculative module is not set to a domain (/x.h:9)"),
    (Reason.KV_CACHE_TOO_SMALL, "RuntimeError: The KV cache has room for 512 tokens, not enough for one sequence"),
    (Reason.DRIVER_TOO_OLD, "RuntimeError: CUDA 13.0 needs driver 580, found 535.129"),
    (Reason.NO_GPU, "RuntimeError: started without a GPU"),
    (Reason.QUANTIZATION_NOT_SUPPORTED, "ValueError: qformat 'w3a16' is not supported; choose fp8 or nvfp4"),
    (Reason.CHAT_TEMPLATE_MISSING, "ValueError: the chat_template of this model is empty"),
    (Reason.ROPE_SCALING_NOT_SUPPORTED, "ValueError: what is rotary factor 'spiral'?"),
    (Reason.EXPERTS_NOT_DIVISIBLE, "AssertionError: expert count 60 must divide evenly by moe_ep_size 8"),
    (Reason.HEADS_NOT_DIVISIBLE, "ValueError: Cannot shard 28 query heads across tensor parallel size 8"),
    (Reason.SHARD_NOT_ALIGNED, "AssertionError: num_layers 32 must be a multiple of pipeline parallelism 5"),
    (Reason.GPU_NOT_SUPPORTED, "RuntimeError: frob_gemm requires SM100 or later, but this device is SM90"),
    (Reason.CALIBRATION_FAILED, "RuntimeError: the amax of this layer is negative"),
    (Reason.DATASET_UNUSABLE, "ValueError: the dataset has no column that looks like text"),
    (Reason.BIND_FAILED, "OSError: could not listen on 0.0.0.0:8000: port is in use"),
    (Reason.STORAGE_FULL, "OSError: the volume is full"),
    (Reason.PERMISSION_DENIED, "RuntimeError: the cache of frobs is not writable"),
    (Reason.SOURCE_ACCESS_DENIED, "RuntimeError: the store says Forbidden"),
    (Reason.SOURCE_UNREACHABLE, "RuntimeError: the download from the hub timed out"),
    (Reason.EXECUTOR_CRASHED, "RuntimeError: the executor is gone"),
    (Reason.GPU_OUT_OF_MEMORY, "RuntimeError: GPU memory is used up"),
    (Reason.INVALID_OPTIONS, "RuntimeError: multiple_profiles makes no sense here"),
    (Reason.HEADS_NOT_DIVISIBLE, "RuntimeError: heads per rank: 3.5"),
    (Reason.SHARD_NOT_ALIGNED, "RuntimeError: in_features 4304 is strange"),
    (Reason.TOO_FEW_GPUS, "RuntimeError: rank 1 uses the GPU of rank 0"),
    (Reason.GPU_NOT_SUPPORTED, "RuntimeError: an NVFP4 checkpoint on Hopper"),
    (Reason.ENGINE_INCOMPATIBLE, "RuntimeError: something is wrong with the engine"),
    (Reason.CHECKPOINT_MISMATCH, "RuntimeError: odd tensors"),
    (Reason.RATE_LIMITED, "RuntimeError: the store throttles this client"),
    (Reason.CUSTOM_CODE_NOT_TRUSTED, "RuntimeError: the frob brings custom modeling code"),
    (Reason.SOURCE_CORRUPT, "RuntimeError: shard 3 is incomplete"),
    (Reason.SOURCE_CORRUPT, "RuntimeError: the file has 7 bytes where the index promises 9"),
    (Reason.SOURCE_INCOMPLETE, "RuntimeError: the directory does not contain weights"),
    (Reason.ARCHITECTURE_NOT_SUPPORTED, "RuntimeError: the frob wants newer transformers"),
    (Reason.KV_CACHE_TOO_SMALL, "RuntimeError: no room is left for KV blocks"),
    (Reason.ENGINE_INCOMPATIBLE, "RuntimeError: the engine was built for SM80 and this GPU is SM90"),
    (Reason.DATASET_UNUSABLE, "RuntimeError: the calibration file is strange"),
    (Reason.CALIBRATION_FAILED, "RuntimeError: there are no activation statistics for 3 frobs"),
    (Reason.GPU_OUT_OF_MEMORY, "RuntimeError: could not allocate 9 bytes of GPU memory"),
    (Reason.HEADS_NOT_DIVISIBLE, "RuntimeError: attention head count 7 is no multiple of tensor parallel size 2"),
    (Reason.SHARD_NOT_ALIGNED, "RuntimeError: the vocabulary cannot be split evenly"),
    (Reason.EXPERTS_NOT_DIVISIBLE, "RuntimeError: cannot distribute 7 experts over 2 ranks"),
    (Reason.WORLD_SIZE_MISMATCH, "RuntimeError: 8 processes were launched for tp_size 4"),
    (Reason.TOO_FEW_GPUS, "RuntimeError: two ranks got the same GPU"),
    (Reason.REQUEST_TOO_LONG, "RuntimeError: the prompt has 9001 tokens, the limit is 8192"),
    (Reason.CHECKPOINT_NOT_SUPPORTED, "RuntimeError: the quant_algo is absent"),
    (Reason.ARCHITECTURE_NOT_SUPPORTED, "RuntimeError: there is no model class for FrobForCausalLM"),
    (Reason.TOKENIZER_UNUSABLE, "RuntimeError: nothing like a tokenizer.json here"),
    (Reason.ENGINE_INCOMPATIBLE, "RuntimeError: The engine was produced by version 0.20; please rebuild it"),
    (Reason.WORLD_SIZE_MISMATCH, "ValueError: the mapping expects world size 4 but 2 ranks were launched"),
    (Reason.TOO_FEW_GPUS, "RuntimeError: more GPUs than 2 are not available"),
    (Reason.CHECKPOINT_NOT_SUPPORTED, "RuntimeError: this looks like GPTQ"),
    (Reason.ARCHITECTURE_NOT_SUPPORTED, "RuntimeError: the model class Frob is not registered"),
    (Reason.REQUEST_TOO_LONG, "ValueError: input tokens exceed what was built"),
    (Reason.CHECKPOINT_MISMATCH, "RuntimeError: two weights are missing"),
    (Reason.LAUNCH_FAILED, "RuntimeError: mpirun went away"),
    (Reason.COMMUNICATION_FAILED, "RuntimeError: allreduce is stuck"),
    (Reason.INVALID_OPTIONS, "ValueError: the adapter has rank 64, the server was started with max_lora_rank 16"),
    (Reason.GPU_FAULT, "RuntimeError: cublas is unhappy"),
    (Reason.ENGINE_BUILD_FAILED, "RuntimeError: the builder gave nothing"),
    (Reason.FILE_NOT_FOUND, "RuntimeError: cannot open the table of frobs"),
    (Reason.IMAGE_MISMATCH, "RuntimeError: the library frob was not found"),
    (Reason.VERSION_MISMATCH, "RuntimeError: the versions of frob and widget differ"),
]


@pytest.mark.parametrize(("reason", "text"), UNKNOWN_ERRORS)
def test_an_unknown_error_is_placed_by_its_words_and_says_so(reason: Reason, text: str) -> None:
    found = diagnose([*HEALTHY, TRACE, FRAME, "    frob()", text, *WRAPPERS], 1)
    assert found is not None
    assert found.reason is reason, found
    assert found.guessed
    assert found.certainty is Certainty.LIKELY
    assert found.message.startswith("Likely cause: the error is about ")
    assert text in found.message
    assert found.remedy


def test_every_kind_has_an_error_that_is_placed_there() -> None:
    assert {hint.reason for hint in HINTS} == {reason for reason, _ in UNKNOWN_ERRORS}


def test_a_bare_exception_is_placed_by_the_line_that_raised_it() -> None:
    found = diagnose(
        [FRAME, "    assert n_heads % tensor_parallel == 0", "           ~~~~~~~~^^^^", "AssertionError"], 1
    )
    assert found is not None
    assert found.reason is Reason.HEADS_NOT_DIVISIBLE


@pytest.mark.parametrize(
    "text",
    [
        "FrobError: widget 7 is askew",
        "TypeError: load_weights() missing 1 required positional argument: 'shape'",
        "ValueError: too many values to unpack (expected 4)",
        "AttributeError: 'NoneType' object has no attribute 'shape'",
        "FrobError: askew (/src/nccl/cuda/tokenizer/engine_version_mismatch.cpp:12)",
    ],
)
def test_what_any_program_may_say_is_not_placed(text: str) -> None:
    found = diagnose([TRACE, FRAME, "    weights, shape = missing()", text], 1)
    assert found is not None
    assert found.reason is Reason.UNKNOWN
    assert not found.guessed


def test_an_entry_of_the_catalogue_is_never_a_guess() -> None:
    found = diagnose(
        ["RuntimeError: more GPUs than 2 are not available", "torch.OutOfMemoryError: CUDA out of memory."], 1
    )
    assert found is not None
    assert found.id == "G1"
    assert not found.guessed


def test_a_program_that_decides_by_the_reason_gets_no_guess() -> None:
    scanner = Scanner()
    scanner.feed("RuntimeError: the dataset has no column that looks like text")
    found = scanner.result(1)
    assert found is not None
    assert found.reason is Reason.UNKNOWN
