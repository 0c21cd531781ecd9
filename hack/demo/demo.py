#!/usr/bin/env python3
"""The demo, `make demo`: from an empty machine to a chat answer of a quantized model that passed the quality gate."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "hack" / "cluster"))

from clusterlib.cli import provider  # noqa: E402 - the package lies beside this directory
from clusterlib.client import Client  # noqa: E402
from clusterlib.environments import demo_model  # noqa: E402
from clusterlib.install import copy_to_claim, install_operator  # noqa: E402
from clusterlib.local import LocalCluster  # noqa: E402
from clusterlib.prepare import prepare  # noqa: E402
from clusterlib.problem import Problem  # noqa: E402
from clusterlib.settings import Settings  # noqa: E402
from clusterlib.show import say, step  # noqa: E402

NAME = "smollm2"
NAMESPACE = "default"
MODEL = "smollm2-135m-instruct"
QUESTION = "What is the capital of France?"
TIMEOUT = 900.0


def main() -> int:
    """Run the demo, and print the time of each step."""
    started = time.monotonic()
    settings = Settings(name="trtllm-demo", index=0, nodes=1)
    cluster = provider(settings)
    try:
        with step("programs, Python environments, image bases and the model (cached after the first time)"):
            prepare(local=isinstance(cluster, LocalCluster))
        with step("cluster"):
            cluster.up()
        client = Client(cluster, settings)
        with step("images of the operator and the builder"):
            images = cluster.images()
        with step("operator (Helm) and the model on a claim"), ThreadPoolExecutor(2) as pool:
            parts = [
                pool.submit(install_operator, client, images),
                pool.submit(copy_to_claim, client, NAME, demo_model(), MODEL, images["operator"], namespace=NAMESPACE),
            ]
            for part in parts:
                part.result()
        say("→ kubectl apply -f examples/smollm2/engine.yaml")
        client.kubectl("apply", "-n", NAMESPACE, "-f", str(REPOSITORY / "examples" / "smollm2" / "engine.yaml"))
        with step("QuantizedModel and EngineBuild smollm2"):
            _follow(client)
        _show(client)
        with step(f"chat: {QUESTION}"):
            _chat(client)
        report = _report(client)
    except Problem as problem:
        say(str(problem))
        return 1
    say(f"""
The report with charts: {report}
Try next:
    export KUBECONFIG={client.environment.get("KUBECONFIG", "")} PATH={client.program.parent}:$PATH
    kubectl describe qm {NAME}
    kubectl port-forward service/{NAME}-serve 8000:80    # an OpenAI endpoint: http://127.0.0.1:8000/v1
    kubectl get events
    make cluster-down                              # removes everything
✓ demo  {time.monotonic() - started:.0f} s""")
    return 0


def _follow(client: Client) -> None:
    """Print changes of stage and progress until the model is served. Raises Problem if it is Stalled."""
    deadline, last = time.monotonic() + TIMEOUT, ""
    while time.monotonic() < deadline:
        model, build = (client.get(kind, NAME, "-n", NAMESPACE) for kind in ("quantizedmodel", "enginebuild"))
        line = " | ".join(filter(None, (_line("QuantizedModel", model), _line("EngineBuild", build))))
        if line != last:
            say(f"   {line}")
            last = line
        if _is(build, "Ready"):
            return
        for resource in (model, build):
            if _is(resource, "Stalled"):
                raise Problem(f"{resource['kind']} {NAME} is Stalled: {_condition(resource, 'Stalled')['message']}")
        time.sleep(1)
    raise Problem(f"{NAME} was not served within {TIMEOUT:.0f} s. kubectl describe qm,eb shows its state.")


def _line(kind: str, resource: dict[str, object]) -> str:
    status = resource.get("status") or {}
    if not isinstance(status, dict):
        return ""
    progress = status.get("progress") or {}
    percent = f" {progress['percent']}%" if progress.get("percent") is not None else ""
    return f"{kind} {status.get('stage', 'New')} {progress.get('stage', '')}{percent}".strip()


def _condition(resource: dict[str, object], kind: str) -> dict[str, str]:
    status = resource.get("status")
    conditions = status.get("conditions") or [] if isinstance(status, dict) else []
    return next((c for c in conditions if c["type"] == kind), {})


def _is(resource: dict[str, object], kind: str) -> bool:
    return _condition(resource, kind).get("status") == "True"


def _show(client: Client) -> None:
    say("\n" + client.kubectl("get", "quantizedmodels,enginebuilds", "-n", NAMESPACE))
    model = client.get("quantizedmodel", NAME, "-n", NAMESPACE)
    quality, source = model["status"]["quality"], model["status"]["quality"]["reference"]
    rows = [("candidate", "perplexity", "KL", "same top token", "canaries", "MiB", "verdict")]
    size = _mib(model["status"]["source"])
    rows.append(("source", source["perplexity"], "", "", source.get("canaries", ""), size, ""))
    for candidate in quality["candidates"]:
        measures = candidate.get("measures") or {}
        group = f" g{candidate['groupSize']}" if candidate.get("groupSize") else ""
        rows.append(
            (
                candidate["method"] + group,
                f"{measures.get('perplexity', '')} ({candidate.get('perplexityChange', '')})",
                measures.get("klDivergence", ""),
                measures.get("topTokenAgreement", ""),
                measures.get("canaries", ""),
                _mib(candidate),
                candidate["verdict"],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for why in model["status"]["plan"].get("why") or ():
        say(f"Plan: {why}")
    for candidate in quality["candidates"]:
        if "explanation" in candidate:
            say(f"{candidate['method']}: {candidate['explanation']}")
    say(f"\n{_condition(model, 'Ready')['message']}\n")


def _mib(value: dict[str, int]) -> str:
    return f"{value['bytes'] / 2**20:.0f}" if "bytes" in value else ""


def _chat(client: Client) -> None:
    body = {
        "model": NAME,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 48,
        "stream": True,
    }
    with _forwarded(client) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        sys.stderr.write("   ")
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            for line in answer:
                data = line.decode().strip().removeprefix("data: ")
                if not data or data == "[DONE]":
                    continue
                choices = json.loads(data).get("choices") or [{}]
                sys.stderr.write(choices[0].get("delta", {}).get("content") or "")
                sys.stderr.flush()
        sys.stderr.write("\n")


@contextmanager
def _forwarded(client: Client) -> Iterator[int]:
    """A local port that is forwarded to the Service."""
    command = [str(client.program), "port-forward", "-n", NAMESPACE, f"service/{NAME}-serve", ":80"]
    process = subprocess.Popen(command, env=client.environment, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise Problem("kubectl port-forward printed no port.")
        line = process.stdout.readline()
        yield int(line.split("127.0.0.1:")[1].split()[0])
    finally:
        process.terminate()
        process.wait()


def _report(client: Client) -> Path:
    """Copy the report from the claim, through the server's pod, which mounts it."""
    model = client.get("quantizedmodel", NAME, "-n", NAMESPACE)
    path = model["status"]["artifact"]["report"]
    page = client.kubectl("exec", "-n", NAMESPACE, f"deployment/{NAME}-serve", "--", "cat", f"/store/{path}")
    target = REPOSITORY / "build" / "report.html"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target.relative_to(REPOSITORY)


if __name__ == "__main__":
    sys.exit(main())
