"""clauses: cause and remedy of a verdict as its rule writes them."""

from __future__ import annotations

from trtllm_api.problem import Problem


def clauses(problem: Problem) -> str:
    """`<message>: <remedy>`, before they become sentences."""
    return f"{problem.message}: {problem.remedy}" if problem.remedy else problem.message
