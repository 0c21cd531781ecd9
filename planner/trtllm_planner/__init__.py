"""Engines and GPUs, judged and planned without either: pure functions that the operator and the command line share."""
