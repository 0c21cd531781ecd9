"""Why a download, build or server failed: logs, exit codes and container states to one reason, sentence and remedy.

Pure functions, called by the builder over its own log, by the operator over pods, and by `trtllm diagnose`.
"""

from __future__ import annotations

from trtllm_api.reasons import Reason
from trtllm_diagnosis.ended import diagnose_end
from trtllm_diagnosis.limits import Limits
from trtllm_diagnosis.lines import read_lines
from trtllm_diagnosis.model import Certainty, Diagnosis
from trtllm_diagnosis.scan import Scanner, diagnose
from trtllm_diagnosis.waiting import diagnose_waiting

__all__ = [
    "Certainty",
    "Diagnosis",
    "Limits",
    "Reason",
    "Scanner",
    "diagnose",
    "diagnose_end",
    "diagnose_waiting",
    "read_lines",
]
