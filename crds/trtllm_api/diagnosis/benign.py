"""Lines that are never a cause: wrappers around one, and alarms that mean nothing; scan.py asks."""

from __future__ import annotations

import re
from typing import Final

WRAPPERS: Final = re.compile(
    r"MPI_ABORT was invoked|Primary job\s+terminated normally|Executor worker returned error|Engine building failed"
    r"|Failed to initialize executor|mpirun (?:noticed|has exited|detected that one)|prterun (?:noticed|has exited)"
    r"|CalledProcessError|ChildFailedError|BrokenProcessPool|RemoteTraceback|MPI\.?Exception|RayTaskError"
    r"|DistBackendError: \[\d+\] is setting up|ProcessRaisedException|ProcessExitedException|ActorDiedError"
    r"|Per user-direction, the job has been aborted|non-zero exit code|srun: error|torch\.distributed\.elastic"
    r"|(?:SystemExit|KeyboardInterrupt|BrokenPipeError|CancelledError|TimeoutExpired|EOFError)\b"
    r"|Sending process \d+ closing signal|command terminated with exit code|make(?:\[\d+\])?: \*\*\*|\bRequestError\b"
    r"|Error 1 \(ignored\)|background (?:thread|worker) (?:failed|died)|Event loop is closed",
    re.IGNORECASE,
)
"""What repeats that something failed. `signal 9 (Killed)` in such a line still counts: see MEANINGFUL."""

MEANINGFUL: Final = re.compile(
    r"signal:? \d|SIG(?:KILL|BUS|SEGV|ABRT)|exit(?:ed)?[ _]?(?:with )?code:?\W{0,4}(?:-9|137|135|139)\b|\bKilled\b"
    r"|(?:CalledProcessError|Error|Exception)\b.{0,20}: .{0,400}?(?:\w+Error|out of memory|No space left)"
    r"|terminated abruptly|Failed to initialize executor on rank \d+: \w",
    re.IGNORECASE,
)
"""A wrapper that carries the cause in the same line."""

BENIGN: Final = re.compile(
    r"Provided but not required tensors|Tactic Device request"
    r"|Exception ignored in|resource_tracker: There appear to be|leaked (?:semaphore|shared_memory)"
    r"|Unable to register cu\w+ factory|computation placer already registered"
    r"|TF-TRT Warning|Could not find TensorRT$|destroy_process_group\(\) was not called"
    r"|has_fp8 .*False|no errors? (?:found|detected)|\b0 errors?\b|errors?[=:] ?0\b|Retry(?:ing)? .{0,40}succeeded",
    re.IGNORECASE,
)
"""Alarms that mean nothing."""
