"""`trtllm report`: the quality table of a QuantizedModel's status, and the same as a page; called by main."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_api.modelstatus import QualityStatus, QuantizedModelStatus, Verdict
from trtllm_cli.key import Key
from trtllm_cli.kubectl import Cluster, Object, named
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.quality import HEADER, model_status, remarks, rows
from trtllm_cli.terminal import Terminal, plain, table

_STYLES = {Verdict.PASSED: "green", Verdict.WARNED: "yellow", Verdict.REFUSED: "red", Verdict.FAILED: "red"}


def run(arguments: Namespace) -> int:
    """Print it, and write the page where one is asked for."""
    cluster = Cluster(arguments.namespace, arguments.context)
    kind, name = named(arguments.resource)
    if kind == eb.KIND:
        reference = (cluster.resource(kind, name).get("spec") or {}).get("modelRef") or {}
        if "name" not in reference:
            raise Unreadable(f"EngineBuild {name} is made of a source that nobody has measured: it has no report")
        name = str(reference["name"])
    found = cluster.resource(qm.KIND, name)
    status = model_status(found)
    quality = status.quality
    if quality is None or not (quality.candidates or quality.reference):
        stage = f" (stage {status.stage})" if status.stage else ""
        raise Unreadable(f"QuantizedModel {name} has not been measured yet{stage}: see trtllm status qm/{name}")
    if arguments.html:
        from trtllm_cli.page import page  # jinja2 is imported only if it is used

        try:
            Path(arguments.html).write_text(page(_title(found, name), found, status), encoding="utf-8")
        except OSError as error:
            raise Unreadable(f"{arguments.html} cannot be written: {error.strerror}") from None
    if arguments.output == "json":
        sys.stdout.write(json.dumps(quality.to_wire(), indent=2, ensure_ascii=False) + "\n")
        return Exit.FINE
    _show(name, status, quality, Terminal())
    if arguments.html:
        print(f"\nwritten to {arguments.html}")
    return Exit.FINE


def _title(found: Object, name: str) -> str:
    """`QuantizedModel team/smollm2`."""
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
        terminal.print(terminal.wrapped(f"planned: {why}", "  "))
    if status.artifact is not None:
        shipped = status.artifact
        report = f", its whole report at {shipped.report}" if shipped.report else ""
        terminal.print(plain(f"shipped: {shipped.method} at {shipped.path} on claim {shipped.claim_name}{report}"))
