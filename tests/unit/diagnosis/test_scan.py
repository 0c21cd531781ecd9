from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path

import pytest

from trtllm_api.reasons import Reason
from trtllm_diagnosis import Certainty, diagnose, read_lines
from trtllm_diagnosis.limits import LONGEST

sys.path.insert(0, str(Path(__file__).parent))

from logs import HEALTHY, WRAPPERS

TRACE = "Traceback (most recent call last):"
FRAME = '  File "/x/y.py", line 1, in f'


@pytest.mark.parametrize("exit_code", [None, 0])
def test_a_healthy_log_has_no_diagnosis(exit_code: int | None) -> None:
    assert diagnose(HEALTHY * 3, exit_code) is None


@pytest.mark.parametrize("line", HEALTHY)
def test_no_healthy_line_is_a_cause_by_itself(line: str) -> None:
    if "[TRT] [E]" not in line:
        assert diagnose([line]) is None


def test_an_empty_log_without_exit_code_has_no_diagnosis() -> None:
    assert diagnose([]) is None


@pytest.mark.parametrize("line", WRAPPERS)
def test_a_wrapper_alone_is_never_the_cause(line: str) -> None:
    found = diagnose([line], 1)
    assert found is not None
    assert found.reason is Reason.UNKNOWN
    assert "exit code 1" in found.message


def test_memory_errors_of_a_skipped_tactic_are_forgiven_and_the_real_one_is_not() -> None:
    error = "[TRT] [E] Error Code 2: OutOfMemory (Requested size was 77 bytes.)"
    trial = [error, "[TRT] [W] Skipping tactic 3 due to insufficient memory on requested size of 77"]
    assert diagnose(trial * 40) is None
    found = diagnose([*trial * 40, error, *WRAPPERS], 1)
    assert found is not None
    assert (found.id, found.line) == ("B14", 81)


def test_the_earliest_cause_wins_over_later_ones() -> None:
    full = "OSError: [Errno 28] No space left on device: '/store/a'"
    missing = "ValueError: Could not find any .safetensors or .bin files in /store"
    found = diagnose([full, missing], 1)
    assert found is not None
    assert (found.id, found.line) == ("D4", 1)
    found = diagnose([missing, full], 1)
    assert found is not None
    assert found.id == "D12"


def test_a_cause_wins_over_an_earlier_consequence() -> None:
    found = diagnose(
        ["Killed", "RuntimeError: NCCL error: unhandled system error", "ValueError: Config name is missing."]
    )
    assert found is not None
    assert found.id == "Q4"


def test_the_component_that_did_not_fit_refines_the_memory_error_before_it() -> None:
    found = diagnose(
        [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "RuntimeError: Executor creation failed due to insufficient GPU memory.",
            "The following component could not be created: KV cache",
        ],
        1,
    )
    assert found is not None
    assert found.id == "S16k"


def test_an_unknown_error_is_the_first_traceback_and_not_its_wrappers() -> None:
    log = [
        *HEALTHY,
        TRACE,
        FRAME,
        "    frob()",
        "acme.FrobError: widget 7 is askew",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        TRACE,
        FRAME,
        "RuntimeError: cannot start",
        *WRAPPERS,
    ]
    found = diagnose(log, 1)
    assert found is not None
    assert found.reason is Reason.UNKNOWN
    assert found.message == "Not in the catalogue: acme.FrobError: widget 7 is askew"
    assert found.line == len(HEALTHY) + 4


def test_interleaved_tracebacks_do_not_mix_their_frames() -> None:
    log = [
        f"[rank0]: {TRACE}",
        f"[rank1]: {TRACE}",
        '[rank0]:   File "/x/convert_utils.py", line 3, in dup_kv_weight',
        '[rank1]:   File "/x/other.py", line 3, in g',
        "[rank1]: AssertionError",
    ]
    assert diagnose(log, 1) is not None
    assert diagnose(log, 1).id == "unknown"  # type: ignore[union-attr]
    found = diagnose([*log, "[rank0]: AssertionError"], 1)
    assert found is not None
    assert found.id == "C5"


def test_a_native_error_line_is_quoted_when_there_is_no_traceback() -> None:
    found = diagnose([*HEALTHY, "  what():  frob is out of widgets"], 1)
    assert found is not None
    assert "frob is out of widgets" in found.message


def test_a_killed_rank_is_not_blamed_for_the_error_that_another_rank_raised_before() -> None:
    banner = "mpirun noticed that process rank 5 with PID 71 on node trt-0 exited on signal 9 (Killed)."
    found = diagnose([f"[1,2]<stderr>:{TRACE}", f"[1,2]<stderr>:{FRAME}", "[1,2]<stderr>:FrobError: askew", banner], 1)
    assert found is not None
    assert found.message == "Not in the catalogue: FrobError: askew"
    found = diagnose(["  what():  Assertion failed: frob != nullptr", banner], 1)
    assert found is not None
    assert "frob != nullptr" in found.message


def test_a_killed_rank_is_likely_short_of_memory_when_nothing_was_said_before() -> None:
    banner = "mpirun noticed that process rank 5 with PID 71 on node trt-0 exited on signal 9 (Killed)."
    for log in ([banner], [banner, TRACE, FRAME, "FrobError: askew"]):
        found = diagnose(log, 1)
        assert found is not None
        assert (found.reason, found.certainty) == (Reason.HOST_OUT_OF_MEMORY, Certainty.LIKELY)


@pytest.mark.parametrize(
    "consequence",
    [
        "ncclRemoteError: a peer went away",
        "Segmentation fault (core dumped)",
        "The worker trt-1 has not polled for 30 s.",
        "ERROR: received SIGTERM",
    ],
)
def test_what_follows_from_an_unknown_error_is_not_named_instead_of_it(consequence: str) -> None:
    found = diagnose([TRACE, FRAME, "FrobError: askew", consequence], 1)
    assert found is not None
    assert found.message == "Not in the catalogue: FrobError: askew"
    found = diagnose([consequence], 1)
    assert found is not None
    assert found.reason is not Reason.UNKNOWN


def test_a_transfer_that_goes_on_is_forgiven_and_the_one_that_gives_up_is_not() -> None:
    error = "Error while fetching https://huggingface.co/a/b: Read timed out."
    again = [error, "Trying to resume download..."]
    assert diagnose([*again * 5, "done"], None) is None
    found = diagnose([*again * 5, error], 1)
    assert found is not None
    assert (found.reason, found.line) == (Reason.SOURCE_UNREACHABLE, 11)


@pytest.mark.parametrize(
    "line",
    [
        "The tokenizer has no chat template, using the default one of its class.",
        "Could not write the index (ignoring this error): Permission denied: '/cache/index'",
        "cuMemFrob returned CUDA_ERROR_OUT_OF_MEMORY (this may not be a problem, it is tried again)",
        "Token indices sequence length is longer than the specified maximum (9001 > 4096)",
        "Some weights of NovaForCausalLM were not initialized from the checkpoint: head.weight",
        "[TensorRT-LLM][WARNING] [json.exception.type_error.302] type must be array, but is null",
        "node-0:1:2 [0] NCCL INFO NET/Plugin: Failed to find ncclNetPlugin_v7 symbol.",
    ],
)
def test_a_line_that_says_it_goes_on_is_no_cause(line: str) -> None:
    assert diagnose([line]) is None
    assert diagnose([line], 0) is None
    failed = diagnose([line], 1)
    assert failed is not None
    assert failed.reason is Reason.UNKNOWN


def test_an_exit_code_of_a_crash_comes_with_the_assertion_of_the_log() -> None:
    found = diagnose(["terminate called", "  what():  Assertion failed: frob != nullptr (frob.cpp:7)"], 134)
    assert found is not None
    assert found.reason is Reason.CRASHED
    assert "frob != nullptr" in found.message
    assert found.line == 2


def test_colours_whose_escape_character_was_lost_hide_nothing() -> None:
    found = diagnose(["[1;36m(Server pid=7)[0;0m ValueError: Config name is missing."], 1)
    assert found is not None
    assert found.evidence == "ValueError: Config name is missing."
    found = diagnose(["ValueError: Config name is missing. [3m 12s]"], 1)
    assert found is not None
    assert found.evidence.endswith("[3m 12s]")


def test_a_request_error_is_judged_by_what_it_carries() -> None:
    found = diagnose(["acme.RequestError: Prompt length (9001) exceeds maximum input length (8192)."], 1)
    assert found is not None
    assert found.reason is Reason.REQUEST_TOO_LONG


def test_a_rank_that_tells_why_its_executor_did_not_start_names_the_cause() -> None:
    head = "[TRT-LLM] [E] Failed to initialize executor on rank 0: "
    found = diagnose(
        [head + "[TensorRT-LLM][ERROR] the fused path only supports Blackwell", "Executor worker returned error"], 1
    )
    assert found is not None
    assert found.reason is Reason.GPU_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (137, "HostOutOfMemory"),
        (135, "SharedMemoryTooSmall"),
        (134, "Crashed"),
        (139, "Crashed"),
        (143, "Terminated"),
        (-9, "HostOutOfMemory"),
    ],
)
def test_an_exit_code_counts_only_when_the_log_names_nothing(code: int, reason: str) -> None:
    found = diagnose(HEALTHY, code)
    assert found is not None
    assert found.reason == reason
    assert found.certainty is Certainty.LIKELY
    named = diagnose([*HEALTHY, "ValueError: Config name is missing."], code)
    assert named is not None
    assert named.reason is Reason.DATASET_UNUSABLE


def test_what_only_a_warning_says_is_likely_and_weaker_than_an_unknown_error() -> None:
    warning = "WARNING: 401 Client Error: Unauthorized for url: https://huggingface.co/a/b/resolve/main/x.json"
    found = diagnose([warning], 1)
    assert found is not None
    assert (found.id, found.certainty) == ("D1", Certainty.LIKELY)
    found = diagnose([warning, TRACE, FRAME, "FrobError: askew"], 1)
    assert found is not None
    assert found.reason is Reason.UNKNOWN


def test_exit_zero_is_not_success_when_the_export_only_warned() -> None:
    found = diagnose(["Cannot export model to the model_config. state_dict is saved to /out/m.pth"], 0)
    assert found is not None
    assert found.reason is Reason.EXPORT_INCOMPLETE


def test_a_progress_bar_on_the_same_line_hides_nothing() -> None:
    found = diagnose(["Calibrating:  1%|\rCalibrating:  2%|\rValueError: Config name is missing.\r\n"], 1)
    assert found is not None
    assert found.id == "Q4"
    assert found.evidence == "ValueError: Config name is missing."


def test_json_lines_of_a_container_runtime_are_unwrapped() -> None:
    found = diagnose(['{"log":"ValueError: Config name is missing.\\n","stream":"stderr","time":"2026"}'], 1)
    assert found is not None
    assert found.evidence == "ValueError: Config name is missing."


def test_memory_stays_bounded_over_a_long_log() -> None:
    error = "ValueError: Only 8 GPUs are available, but 16 are required."
    tracemalloc.start()
    try:
        diagnose((f"[rank{n % 500}]: {error if n % 3 else TRACE} {n}" for n in range(20_000)), 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


def test_a_file_of_one_endless_line_is_read_in_pieces() -> None:
    text = "a" * 300_000 + " ValueError: Config name is missing. " + "b" * 300_000
    pieces = list(read_lines(io.StringIO(text)))
    assert max(map(len, pieces)) <= LONGEST
    found = diagnose(pieces, 1)
    assert found is not None
    assert found.id == "Q4"


def test_read_lines_gives_the_lines_of_an_ordinary_file() -> None:
    assert list(read_lines(io.StringIO("a\nb\n\nc"))) == ["a", "b", "", "c"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ValueError: num_attention_heads (28) must be divisible by tensor parallel size 8", ["(28)", "(8)"]),
        ("AssertionError: num_key_value_heads (4) must be divisible by tp_size (3)", ["(4)", "(3)"]),
        ("ValueError: Only 8 GPUs are available, but 16 are required.", ["8 GPUs", "16"]),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.", ["2.50 GiB"]),
        ("RuntimeError: Assertion failed: MPI size 1 != TP size 2 * PP size 4", ["(1)", "TP 2 x PP 4"]),
        ("The engine plan file is incompatible, expecting compute 8.6 got compute 8.0", ["8.6", "8.0"]),
    ],
)
def test_the_numbers_of_the_log_are_in_the_sentence(line: str, words: list[str]) -> None:
    found = diagnose([line], 1)
    assert found is not None
    assert [word for word in words if word not in found.message] == []


def test_the_end_of_a_traceback_whose_beginning_was_cut_off_is_still_one() -> None:
    found = diagnose(["    self.attn = Attention(", FRAME, "    frob()", "acme.FrobError: widget 7 is askew"], 1)
    assert found is not None
    assert found.message == "Not in the catalogue: acme.FrobError: widget 7 is askew"
    found = diagnose(['  File "/x/attention.py", line 9, in f', "    assert a % b == 0", "AssertionError"], 1)
    assert found is not None
    assert found.id == "S13"


def test_an_exception_that_python_ignores_is_not_the_first_one() -> None:
    ignored = ["Exception ignored in: <function Frob.__del__ at 0x7f>", TRACE, FRAME, "AttributeError: no address"]
    assert diagnose(ignored) is None
    found = diagnose([*ignored, TRACE, FRAME, "acme.FrobError: widget 7 is askew"], 1)
    assert found is not None
    assert found.evidence == "acme.FrobError: widget 7 is askew"


@pytest.mark.parametrize(
    "line",
    [
        "INFO 01-01 server.py:39] Received request 1: prompt: 'RuntimeError: what is an illegal memory access?'",
        'Input [Text 0]: "Explain: No space left on device"',
        "Output [Text 0 Beam 0]: \"ModuleNotFoundError: No module named 'tensorrt'\"",
        "Prompt: 'CUDA out of memory', Generated text: 'Buy another one.'",
        '{"model": "m", "messages": [{"role": "user", "content": "Killed process 7 (python)"}]}',
    ],
)
def test_what_users_ask_and_models_answer_is_no_cause(line: str) -> None:
    assert diagnose([line]) is None
    assert diagnose([line], 0) is None


def test_a_launcher_may_say_its_childs_error_as_information() -> None:
    found = diagnose(["INFO  Launcher convert: torch.OutOfMemoryError: CUDA out of memory."], 1)
    assert found is not None
    assert found.id == "G1"


def test_the_name_of_an_environment_variable_is_no_level() -> None:
    line = "NCCL error: 'unhandled system error (run with NCCL_DEBUG=INFO for details)'"
    found = diagnose([line, "Segmentation fault (core dumped)"], 139)
    assert found is not None
    assert found.id == "S28n"


def test_a_warning_names_the_cause_of_an_exception_that_says_nothing() -> None:
    warning = "/x/file_download.py:1: UserWarning: Not enough free disk space to download the file."
    found = diagnose([warning, TRACE, FRAME, "RuntimeError: Task error: writer channel closed"], 1)
    assert found is not None
    assert (found.reason, found.certainty) == (Reason.STORAGE_FULL, Certainty.LIKELY)
    alone = diagnose([TRACE, FRAME, "RuntimeError: Task error: writer channel closed"], 1)
    assert alone is not None
    assert alone.reason is Reason.UNKNOWN


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("trtllm-serve /store/artifacts/ab12", "kv_cache_config.host_cache_size"),
        ("trtllm-build --checkpoint_dir /x", "conversion and builds"),
        ("Fetching 30 files:   0%|", "a download needs little"),
    ],
)
def test_the_remedy_for_too_little_memory_is_that_of_the_stage(said: str, remedy: str) -> None:
    found = diagnose([said, "Reason: OOMKilled"], 137)
    assert found is not None
    assert found.reason is Reason.HOST_OUT_OF_MEMORY
    assert remedy in found.remedy
