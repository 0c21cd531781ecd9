"""The quality report as one HTML page: a Report goes in, a text comes out. `page.report_html` needs jinja2."""

from trtllm_report.model import Answer, Canary, Candidate, Fact, Limit, Limits, Measures, Mix, Number, Report

__all__ = ["Answer", "Canary", "Candidate", "Fact", "Limit", "Limits", "Measures", "Mix", "Number", "Report"]
