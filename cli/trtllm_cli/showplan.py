"""Answers of `trtllm plan` as text: verdicts with remedies, the plan in GiB, its reasons, and what else would fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import CandidatePlan, QuantizationPlan
from trtllm_api.problem import as_sentence
from trtllm_api.quantization import Method
from trtllm_api.verdict import Severity, Verdict
from trtllm_cli.judge import Answer
from trtllm_cli.terminal import Terminal, plain, table
from trtllm_planner.decide import Decision
from trtllm_planner.tensorrt_llm.versions import EngineRuntime
from trtllm_report.numbers import human_bytes

_BAR: Final = 24


def show(answers: Sequence[Answer], terminal: Terminal) -> None:
    """Print every answer, and a summary."""
    for answer in answers:
        terminal.print(*_answer(answer, terminal), "")
    refused = sum(answer.refused for answer in answers)
    warned = sum(bool(answer.verdicts) and not answer.refused for answer in answers)
    count = f"{len(answers)} document" + ("" if len(answers) == 1 else "s")
    parts = [f"{refused} refused"] * bool(refused) + [f"{warned} with warnings"] * bool(warned)
    terminal.print(f"{count}: {', '.join(parts) or 'accepted'}.")


def _answer(answer: Answer, terminal: Terminal) -> Iterator[str]:
    word, style = ("refused", "red") if answer.refused else ("accepted", "green")
    name, where = plain(str(answer.document.key)), plain(answer.document.where)
    yield f"{terminal.paint(name, 'bold')} ({where}): {terminal.paint(word, style, 'bold')}"
    if answer.facts is not None:
        yield f"  model      {_model(answer.facts)}"
    if answer.rules:
        yield f"  preflight  {answer.rules} rules{_counted(answer.verdicts)}"
    yield from _verdicts(answer.verdicts, terminal)
    if answer.note:
        yield terminal.wrapped(answer.note, "  ")
    if answer.quantization is not None:
        yield from _quantization(answer.quantization, terminal)
    if answer.decision is not None:
        yield from _decision(answer.decision, terminal)
    yield from _list("would fit", answer.would_fit, terminal)


def _model(facts: ModelFacts) -> str:
    quantized = f", quantized ({facts.quantization})" if facts.quantization else ""
    return f"{facts.title}, {human_bytes(facts.bytes)}{quantized}"


def _counted(verdicts: Sequence[Verdict]) -> str:
    refusals = sum(verdict.severity is Severity.REFUSAL for verdict in verdicts)
    warnings = len(verdicts) - refusals
    parts = [f"{refusals} refusal" + "s" * (refusals != 1)] * bool(refusals)
    parts += [f"{warnings} warning" + "s" * (warnings != 1)] * bool(warnings)
    return f": {' and '.join(parts)}" if parts else " passed"


def _verdicts(verdicts: Sequence[Verdict], terminal: Terminal) -> Iterator[str]:
    """Lines of the verdicts: the reason in a column, message and remedy beside it."""
    width = max((len(verdict.reason) for verdict in verdicts), default=0)
    indent = " " * (width + 6)
    for verdict in verdicts:
        refusal = verdict.severity is Severity.REFUSAL
        mark, style = ("✗", "red") if refusal else ("!", "yellow")
        lines = terminal.wrapped(as_sentence(verdict.message), indent, indent).splitlines() or [indent]
        reason = terminal.paint(f"{mark} {verdict.reason:{width}}", style)
        yield f"  {reason}  {lines[0].strip()}"
        yield from lines[1:]
        if verdict.remedy:
            yield terminal.wrapped(as_sentence(verdict.remedy), indent + "  ", indent + "→ ")


def _quantization(plan: QuantizationPlan, terminal: Terminal) -> Iterator[str]:
    yield "  candidates, in order"
    rows = [(f"{number}.", *_candidate(candidate)) for number, candidate in enumerate(plan.candidates, 1)]
    yield from table(rows, "    ")
    yield from _list("why", map(as_sentence, plan.why), terminal)


def _candidate(candidate: CandidatePlan) -> tuple[str, str]:
    options = [f"group size {candidate.group_size}"] * bool(candidate.group_size)
    options += [f"KV cache {candidate.kv_cache}"] * bool(candidate.kv_cache)
    options += [f"alpha {candidate.smooth_quant_alpha}"] * bool(candidate.smooth_quant_alpha)
    if candidate.auto is not None:
        options.append(f"{candidate.auto.effective_bits} effective bits from {', '.join(candidate.auto.candidates)}")
    if candidate.method is Method.MIXED:
        options.append("the smallest refused candidate that passes with its worst modules in full precision")
    options += [f"{', '.join(candidate.exclude_modules)} in full precision"] * bool(candidate.exclude_modules)
    return candidate.method.value, ", ".join(options)


def _decision(decision: Decision, terminal: Terminal) -> Iterator[str]:
    layout, gpu, question = decision.layout, decision.gpu, decision.question
    factors = {"tensor": layout.tensor, "pipeline": layout.pipeline, "context": layout.context}
    shown = " x ".join(f"{name} {number}" for name, number in factors.items() if number > 1) or "tensor 1"
    if layout.asked_moe_tensor is not None or layout.asked_moe_expert is not None:
        shown += f" (experts: tensor {layout.moe_tensor} x expert {layout.moe_expert})"
    ranks = f"{layout.world} rank" + "s" * (layout.world != 1)
    nodes = _pods(decision.nodes, decision.gpus_per_node, "node")
    yield f"  plan       {shown} = {ranks} on {nodes} {gpu.product} ({gpu.sm})"
    host = decision.host
    if question.runtime is EngineRuntime.TENSORRT:
        build = _pods(decision.build_pods, decision.build_gpus, "pod")
        yield f"  build      {build} GPUs, {human_bytes(host.memory)} host memory, {human_bytes(host.disk)} disk"
    else:
        yield f"  needs      {human_bytes(host.disk)} disk"
    yield f"  memory     fullest GPU, {dict(decision.memory).get('GPU', '')}"
    whole = _gib(dict(decision.memory).get("GPU", ""))
    rows = []
    for name, text in decision.memory:
        if name != "GPU":
            share = 100 * _gib(text) / whole if whole else 0.0
            rows.append((name, terminal.bar(share, _BAR), f"{share:3.0f}%", text))
    yield from table(rows, "    ")
    yield from _list("why", map(as_sentence, decision.why), terminal)
    yield from _list("would also fit", decision.alternatives, terminal)


def _pods(count: int, each: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)} x {each}"


def _gib(text: str) -> float:
    """Number of GiB in a text of the planner such as `65.7 GiB = ...`."""
    number, _, unit = text.partition(" ")
    return float(number) if unit.startswith("GiB") else 0.0


def _list(title: str, lines: Iterable[str], terminal: Terminal) -> Iterator[str]:
    items = [terminal.wrapped(line, "      ", "    - ") for line in lines]
    if items:
        yield f"  {title}"
        yield from items
