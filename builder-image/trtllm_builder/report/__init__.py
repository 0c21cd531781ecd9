"""The quality report (candidates, measurements, choice) as JSON, and as a page through trtllm_report."""

from trtllm_builder.report.as_json import report_json
from trtllm_builder.report.as_page import report_html
from trtllm_builder.report.model import FreeAnswer, Mix, Report, ReportCandidate

__all__ = ["FreeAnswer", "Mix", "Report", "ReportCandidate", "report_html", "report_json"]
