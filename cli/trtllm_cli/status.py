"""`trtllm status`: shows one resource until it is Ready or Stalled; without a terminal, a line for each change.

It polls instead of watching: only the latest state is shown, so no event has to be seen.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from trtllm_cli.kubectl import Cluster, Object, named
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.terminal import Terminal, duration, length, plain

_PATIENCE = 60.0
"""Seconds without an answer after which the view ends."""
_OVERALL = frozenset({"Ready", "Reconciling", "Stalled"})


def run(arguments: Namespace) -> int:
    """The exit code: 0 Ready, 1 Stalled, 3 neither yet."""
    terminal = Terminal()
    cluster = Cluster(arguments.namespace, arguments.context)
    kind, name = named(arguments.resource)
    until = time.monotonic() + arguments.timeout if arguments.timeout else None
    live = terminal.interactive and not arguments.once
    show: Callable[[Object], None] = _Live(terminal).show if live else _Lines(terminal, whole=arguments.once).show
    answered = 0.0
    while True:
        try:
            found = cluster.resource(kind, name)
        except Unreadable as problem:
            # keep a view that has begun through a restart of the API server
            if not answered or time.monotonic() - answered > _PATIENCE or "NotFound" in str(problem):
                raise
            time.sleep(arguments.interval)
            continue
        answered = time.monotonic()
        show(found)
        outcome = outcome_of(found)
        if outcome is not Exit.UNDER_WAY or arguments.once:
            return outcome
        if until is not None and time.monotonic() >= until:
            return outcome
        time.sleep(arguments.interval)


def outcome_of(resource: Object) -> Exit:
    """Ready or Stalled, if status is about the current generation of the spec."""
    status = resource.get("status") or {}
    if status.get("observedGeneration", 0) != (resource.get("metadata") or {}).get("generation", 0):
        return Exit.UNDER_WAY
    conditions = _conditions(resource)
    if conditions.get("Ready", {}).get("status") == "True":
        return Exit.FINE
    return Exit.REFUSED if conditions.get("Stalled", {}).get("status") == "True" else Exit.UNDER_WAY


def view(resource: Object, terminal: Terminal) -> list[str]:
    """Lines that show the resource."""
    metadata, status, conditions = resource.get("metadata") or {}, resource.get("status") or {}, _conditions(resource)
    outcome = outcome_of(resource)
    word, style = {Exit.FINE: ("Ready", "green"), Exit.REFUSED: ("Stalled", "red")}.get(
        outcome, (str(status.get("stage") or "Waiting for the operator"), "cyan")
    )
    title = plain(f"{resource.get('kind')} {metadata.get('namespace')}/{metadata.get('name')}")
    lines = [f"{terminal.paint(title, 'bold')}  {terminal.paint(plain(word), style, 'bold')}"]
    progress = status.get("progress")
    if progress:
        lines.append(f"  {_progress(progress, terminal)}")
    serving = status.get("serving") or {}
    if serving.get("replicas"):
        ready, wanted = int(serving.get("readyReplicas") or 0), int(serving["replicas"])
        lines.append(f"  {terminal.bar(100 * ready / wanted)}  {ready} of {wanted} servers ready")
    ready_condition = conditions.get("Ready", {})
    if ready_condition.get("message"):
        sentence = f"{ready_condition.get('reason')}: {ready_condition['message']}"
        lines += terminal.wrapped(sentence, "  ").splitlines()
    for kind, condition in conditions.items():
        if kind not in _OVERALL:
            mark, style = _mark(str(condition.get("status")), outcome)
            lines.append(f"  {terminal.paint(mark, style)} {plain(kind)}: {plain(str(condition.get('reason')))}")
    if serving.get("url"):
        lines.append(f"  {plain(str(serving['url']))}")
    return lines


def _mark(status: str, outcome: Exit) -> tuple[str, str]:
    """Mark and colour of a condition: False is a failure only if the resource is Stalled."""
    if status == "True":
        return "✓", "green"
    return ("✗", "red") if status == "False" and outcome is Exit.REFUSED else ("·", "dim")


def line(resource: Object) -> str:
    """One line that shows the resource, for logs."""
    status = resource.get("status") or {}
    ready = _conditions(resource).get("Ready", {})
    parts = [str(status.get("stage") or ""), _in_words(status.get("progress") or {})]
    parts.append(f"{ready.get('reason')}: {ready.get('message', '')}" if ready else "Waiting for the operator")
    return plain("  ".join(part for part in parts if part))


def _progress(progress: Mapping[str, Any], terminal: Terminal) -> str:
    bar = terminal.bar(progress["percent"]) + "  " if progress.get("percent") is not None else ""
    return bar + plain(_in_words(progress))


def _in_words(progress: Mapping[str, Any]) -> str:
    percent, left = progress.get("percent"), progress.get("etaSeconds")
    parts = [str(progress.get("stage") or "")]
    parts += [f"{percent}%"] if percent is not None else []
    parts += [str(progress["detail"])] if progress.get("detail") else []
    parts += [f"about {duration(left)} left"] if left else []
    return ", ".join(part for part in parts if part)


def _conditions(resource: Object) -> dict[str, Mapping[str, Any]]:
    found = (resource.get("status") or {}).get("conditions") or []
    return {str(condition.get("type")): condition for condition in found}


class _Lines:
    """Prints the resource again if it has changed."""

    def __init__(self, terminal: Terminal, *, whole: bool) -> None:
        self._terminal, self._whole = terminal, whole
        self._last = ""

    def show(self, resource: Object) -> None:
        if self._whole:
            self._terminal.print(*view(resource, self._terminal))
            return
        text = line(resource)
        if text != self._last:
            self._last = text
            self._terminal.print(f"{time.strftime('%H:%M:%S')}  {text}")


class _Live:
    """Replaces the lines of the previous state."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._rows = 0

    def show(self, resource: Object) -> None:
        lines = [self._cut(text) for text in view(resource, self._terminal)]
        if self._rows:
            self._terminal.stream.write(f"\x1b[{self._rows}F\x1b[J")
        self._terminal.print(*lines)
        self._rows = len(lines)

    def _cut(self, text: str) -> str:
        """The line, cut to the terminal's width: a wrapped line would take two rows."""
        if length(text) <= self._terminal.width - 1:
            return text
        return plain(text)[: self._terminal.width - 2] + "…"
