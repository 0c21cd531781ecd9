"""`trtllm report`: prints the quality table of a QuantizedModel's status, and writes it as a page."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_api.modelstatus import QualityStatus, QuantizedModelStatus, Verdict
from trtllm_api.problem import as_sentence
from trtllm_cli.key import Key
from trtllm_cli.kubectl import Cluster, Object, named
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.quality import HEADER, model_status, remarks, rows
from trtllm_cli.terminal import Terminal, plain, table

_STYLES = {Verdict.PASSED: "green", Verdict.WARNED: "yellow", Verdict.REFUSED: "red", Verdict.FAILED: "red"}


def run(arguments: Namespace) -> int:
    """Print the table, and write the page if --html is given."""
    cluster = Cluster(arguments.namespace, arguments.context)
    kind, name = named(arguments.resource)
    if kind == eb.KIND:
        reference = (cluster.resource(kind, name).get("spec") or {}).get("modelRef") or {}
        if "name" not in reference:
            raise Unreadable(
                f"EngineBuild {name} has no quality report: its checkpoint is spec.source, which is not measured"
            )
        name = str(reference["name"])
    found = cluster.resource(qm.KIND, name)
    status = model_status(found)
    quality = status.quality
    if quality is None or not (quality.candidates or quality.reference):
        stage = f" (stage {status.stage})" if status.stage else ""
        raise Unreadable(f"QuantizedModel {name} has not been measured yet{stage}", f"see trtllm status qm/{name}")
    if arguments.html:
        from trtllm_cli.page import page  # imports jinja2, which other runs do not need

        try:
            Path(arguments.html).write_text(page(_title(found, name), found, status), encoding="utf-8")
        except OSError as error:
            raise Unreadable(f"{arguments.html} cannot be written: {error.strerror}") from None
    if arguments.output == "json":
        sys.stdout.write(json.dumps(quality.to_wire(), indent=2, ensure_ascii=False) + "\n")
        return Exit.FINE
    _show(name, status, quality, Terminal())
    if arguments.html:
        print(f"\nThe page was written to {arguments.html}.")
    return Exit.FINE


def _title(found: Object, name: str) -> str:
    """Title of the page, such as `QuantizedModel team/smollm2`."""
    namespace = (found.get("metadata") or {}).get("namespace") or ""
    return str(Key(qm.KIND, str(namespace), name))


def _show(name: str, status: QuantizedModelStatus, quality: QualityStatus, terminal: Terminal) -> None:
    source = status.model_facts.bytes if status.model_facts is not None else None
    lines = table([HEADER, *rows(quality, source)])
    styles = ["dim", *([""] if quality.reference is not None else [])]
    styles += [_STYLES[candidate.verdict] for candidate in quality.candidates]
    terminal.print(
        terminal.paint(f"QuantizedModel {name}", "bold"),
        *(terminal.paint(line, style) if style else line for line, style in zip(lines, styles, strict=True)),
    )
    for remark in remarks(quality.candidates):
        terminal.print(terminal.wrapped(remark, "  ", "- "))
    for why in status.plan.why if status.plan is not None else ():
        terminal.print(terminal.wrapped(f"Plan: {as_sentence(why)}", "  "))
    if status.artifact is not None:
        published = status.artifact
        report = f" The full report is {published.report}." if published.report else ""
        terminal.print(
            plain(f"Published: {published.method} at {published.path} on claim {published.claim_name}.{report}")
        )
