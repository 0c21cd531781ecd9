"""The quality report: what was tried, what was measured, what was chosen. Called by the quantize stage's ladder."""

from trtllm_builder.report.as_json import report_json
from trtllm_builder.report.model import FreeAnswer, Mix, Report, ReportCandidate
from trtllm_builder.report.page import report_html

__all__ = ["FreeAnswer", "Mix", "Report", "ReportCandidate", "report_html", "report_json"]
