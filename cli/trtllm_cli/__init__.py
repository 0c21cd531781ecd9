"""The `trtllm` command line: plan, diagnose, report, status. It judges with the operator's own functions."""
