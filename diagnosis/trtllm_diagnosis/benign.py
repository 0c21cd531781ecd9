"""Lines that are never a cause: wrappers around one, and alarms that mean nothing; scan.py asks."""

from __future__ import annotations

import re
from typing import Final

WRAPPERS: Final = re.compile(
    r"MPI_ABORT was invoked|Primary job\s+terminated normally|Executor worker returned error|Engine building failed"
    r"|Failed to initialize executor|mpirun (?:noticed|has exited|detected that one)|prterun (?:noticed|has exited)"
    r"|CalledProcessError|ChildFailedError|BrokenProcessPool|RemoteTraceback|MPI\.?Exception|RayTaskError"
    r"|DistBackendError: \[\d+\] is setting up|ProcessRaisedException|ProcessExitedException|ActorDiedError"
    r"|Per user-direction, the job has been aborted|non-zero exit code|srun: error: (?:\S+: tasks? "
    r"|Timed out)|torch\.distributed\.elastic"
    r"|(?:SystemExit|KeyboardInterrupt|BrokenPipeError|CancelledError|TimeoutExpired|EOFError)\b"
    r"|Sending process \d+ closing signal|command terminated with exit code|make(?:\[\d+\])?: \*\*\*"
    r"|Engine core initialization failed|WorkerProc (?:initialization )?failed|EngineCore failed to start"
    r"|Failed core proc"
    r"|failed to load all models|lifespan.{0,30}(?:failed|exited)|Application startup failed"
    r"|Stub process .{1,60} is not healthy|See (?:root cause|stack trace)|Failed to build engine for rank"
    r"|Error 1 \(ignored\)|background (?:thread|worker) (?:failed|died)|Event loop is closed",
    re.IGNORECASE,
)
"""Lines that repeat that something failed. `signal 9 (Killed)` in such a line still counts: see MEANINGFUL."""

MEANINGFUL: Final = re.compile(
    r"signal:? \d|SIG(?:KILL|BUS|SEGV|ABRT)|exit(?:ed)?[ _]?(?:with )?code:?\W{0,4}(?:-9|137|135|139)\b|\bKilled\b"
    r"|(?:CalledProcessError|Error|Exception)\b.{0,20}: .{0,400}?(?:\wError|out of memory|No space left)"
    r"|terminated abruptly|Ran out of input|Failed to initialize executor on rank \d+: \S",
    re.IGNORECASE,
)
"""A wrapper that carries the cause in the same line."""

BENIGN: Final = re.compile(
    r"Provided but not required tensors|Tactic Device request"
    r"|Exception ignored in|resource_tracker: There appear to be|leaked (?:semaphore|shared_memory)"
    r"|Unable to register cu\w+ factory|computation placer already registered"
    r"|TF-TRT Warning|Could not find TensorRT$|destroy_process_group\(\) was not called"
    r"|has_fp8 .*False|no errors? (?:found|detected)|\b0 errors?\b|errors?[=:] ?0\b|Retry(?:ing)? .{0,40}succeeded"
    r"|\[(?:W|WARNING)\].{0,60}json\.exception|Skipping \w+: No valid tactics"
    r"|(?<!` will )\bignor(?:e|ing) (?:the |this )?(?:error|warning)|\b(?:safely|can) be ignored\b"
    r"|[-,;] (?:so )?(?:we )?(?:using|falling back|fall back|proceeding without|continuing) "
    r"|(?:not (?:installed|available|found)|unavailable)\W{1,3}(?:falling back|proceeding|continuing|skipping)\b"
    r"|\berrors?(?: rate| bound)?[:=] ?(?:[-+]?(?:0|\d*\.\d+|\d+(?:\.\d+)?e[-+]?\d+|\d+(?=%))%?|none|no|null|\[\])"
    r"(?= *(?:$|[(,;]| of | relative))"
    r"|\(ignored\)|mca_base_component_(?:repository_)?(?:open|find)"
    r"|\bmay not be an? (?:issue|problem|error)\b|\bharmless\b|not a big deal"
    r"|(?<!\w)(?:Input|Output) \[Text \d+|^\W*(?:\d+\W{1,3})?Prompt\W{1,3}['\"]|^\W*Generated text\W"
    r"|\bexample (?:test input|outputs (?:before|after) ptq)"
    r"|^(?:(?!Error|Exception|failed).){0,200}['\"]role['\"]: ?['\"](?:user|system|assistant)"
    r"|Token indices sequence length is longer|Some weights of .{0,80} were not (?:used|initialized)"
    r"|Failed to find ncclNetPlugin|No device found\.?$|Could not find nvcc.{0,40}(?:skip|disabl)",
    re.IGNORECASE,
)
"""Alarms that mean nothing."""

ACCESS: Final = re.compile(
    r"^(?:(?!https?://)[^\"]){0,200}\"(?:GET|POST|PUT|PATCH|HEAD|DELETE|OPTIONS) .* HTTP/[\d.]{1,4}\" [1-5]\d\d"
)
"""A line of an HTTP server's access log, of which the client wrote the most."""
