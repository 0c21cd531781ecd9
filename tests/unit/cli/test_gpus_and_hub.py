"""GPUs from a flag and from nodes; configurations from a hub, of which a small server plays the part."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from public_models import CONFIGS

from trtllm_cli.gpus import nodes_of_flag, nodes_with_gpus
from trtllm_cli.hub import hub_file
from trtllm_cli.models import facts_of_hub, facts_of_path
from trtllm_cli.problem import Unreadable
from trtllm_planner.inventory import gpu_inventory


@pytest.mark.parametrize(
    ("flag", "counts", "product", "memory", "capability"),
    [
        ("2x8xNVIDIA-H100-80GB-HBM3", (8, 8), "NVIDIA-H100-80GB-HBM3", 81559, (9, 0)),
        ("4xnvidia-l4", (4,), "NVIDIA-L4", 23034, (8, 9)),
        ("1x2xNVIDIA B200", (2,), "NVIDIA-B200", 183359, (10, 0)),
        ("1x1xNVIDIA-NEXT:96Gi:11.0", (1,), "NVIDIA-NEXT", 98304, (11, 0)),
        ("1x7xNVIDIA-H100-80GB-HBM3-MIG-1g.10gb:10Gi", (7,), "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", 10240, (9, 0)),
    ],
)
def test_a_flag_says_what_nodes_there_are(
    flag: str, counts: tuple[int, ...], product: str, memory: int, capability: tuple[int, int]
) -> None:
    found = gpu_inventory(nodes_of_flag([flag]))
    (kind,) = found.kinds()
    assert (kind.product, kind.memory_mib, kind.capability) == (product, memory, capability)
    assert found.counts(kind) == counts


def test_flags_add_up() -> None:
    found = gpu_inventory(nodes_of_flag(["1x8xNVIDIA-H200,2x4xNVIDIA-L4", "1x1xTesla-T4"]))
    assert [kind.product for kind in found.kinds()] == ["Tesla-T4", "NVIDIA-L4", "NVIDIA-H200"]


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("8xH100", "did you mean NVIDIA-H100-80GB-HBM3, NVIDIA-H100-PCIe, NVIDIA-H100-NVL"),
        ("NVIDIA-L4", "write NODESxCOUNTxPRODUCT"),
        ("0x8xNVIDIA-L4", "write NODESxCOUNTxPRODUCT"),
        ("1x0xNVIDIA-L4", "write NODESxCOUNTxPRODUCT"),
        ("1x1xNVIDIA-NEXT:96Gi", "the compute capability is not known"),
        ("1x7xNVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "a slice needs its memory"),
    ],
)
def test_a_flag_that_says_nothing_clear_is_corrected(flag: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        nodes_of_flag([flag])


@pytest.mark.parametrize("found", [1, {"items": [1]}, {"items": [{"spec": {}}]}, None])
def test_what_is_no_list_of_nodes_is_said_so(found: object) -> None:
    with pytest.raises(Unreadable, match="no list of nodes"):
        nodes_with_gpus(found, "nodes.json")


def test_nodes_without_gpus_are_said_so() -> None:
    with pytest.raises(Unreadable, match="none of 1 nodes has GPUs"):
        nodes_with_gpus({"items": [{"metadata": {"name": "cpu"}}]}, "nodes.json")


@dataclass
class Hub:
    """What the stand-in answers, and what it was sent."""

    endpoint: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    code: int = 404
    tokens: list[str | None] = field(default_factory=list)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in for the hub on this machine."""
    known = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.tokens.append(self.headers.get("Authorization"))
            if self.path in known.redirects:
                self.send_response(302)
                self.send_header("Location", known.redirects[self.path])
                self.end_headers()
                return
            content = known.files.get(self.path)
            self.send_response(known.code if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", known.endpoint + "/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield known
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_for_two_small_files(hub: Hub) -> None:
    hub.files["/org/model/resolve/main/config.json"] = json.dumps(CONFIGS["Llama-3-8B"]).encode()
    hub.files["/org/model/resolve/main/hf_quant_config.json"] = b'{"quantization": {"quant_algo": "FP8"}}'
    facts = facts_of_hub("org/model", "main")
    assert facts.architecture == "LlamaForCausalLM"
    assert facts.details.checkpoint is not None
    assert facts.details.checkpoint.algorithm == "FP8"
    assert len(hub.tokens) == 2


def test_a_revision_with_a_slash_is_one_part_of_the_address(hub: Hub) -> None:
    hub.files["/org/model/resolve/refs%2Fpr%2F1/config.json"] = b"{}"
    assert hub_file("org/model", "refs/pr/1", "config.json") == b"{}"


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.redirects["/a/b/resolve/main/config.json"] = f"{hub.endpoint.replace('127.0.0.1', 'localhost')}/elsewhere"
    hub.files["/elsewhere"] = b"{}"
    assert hub_file("a/b", "main", "config.json") == b"{}"
    assert hub.tokens == ["Bearer hf_secret", None]


@pytest.mark.parametrize(
    ("code", "says"),
    [(401, "private, gated or not there"), (403, "set HF_TOKEN"), (429, "answered 429"), (500, "answered 500")],
)
def test_what_the_hub_refuses_is_one_sentence(hub: Hub, code: int, says: str) -> None:
    hub.code = code
    with pytest.raises(Unreadable, match=says):
        facts_of_hub("org/model", "main")


def test_a_repository_without_config_is_said_so(hub: Hub) -> None:
    with pytest.raises(Unreadable, match=r"no config\.json of org/model at revision main"):
        facts_of_hub("org/model", "main")


def test_a_directory_says_more_than_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["Llama-3-8B"]))
    (tmp_path / "model-1.safetensors").write_bytes(b"x" * 100)
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["own.py", null]}}')
    facts = facts_of_path(str(tmp_path))
    assert facts.bytes == 100
    assert (facts.custom_code, facts.details.own_tokenizer) == (True, True)
    assert facts_of_path(str(tmp_path / "config.json")).bytes > 100
