"""A tiny model with a tokenizer, as an artifact on disk and served by a real server on a loopback port."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trtllm_api.manifest import ArtifactKind, Manifest, Probe
from trtllm_builder.progress import Progress
from trtllm_builder.serve.app import create_app
from trtllm_builder.serve.generation import Engine
from trtllm_builder.serve.main import _listen
from trtllm_builder.serve.runtime import Runtime
from trtllm_builder.serve.server import Server
from trtllm_builder.store import Store

NAME = "tiny"
CONTEXT = 4096
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'robot' %}{{ raise_exception('robots may not speak') }}{% endif %}"
    "{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
PROBE_PROMPT = (72, 101, 108, 108, 111)


@dataclass(frozen=True)
class Tiny:
    """What checkpoint.load_for_inference returns, built here."""

    model: Any
    tokenizer: Any
    manifest: Manifest


def build_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<end>": 0, **{letter: index + 1 for index, letter in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.chat_template = TEMPLATE
    return fast


def build(seed: int = 0, context: int = CONTEXT) -> Tiny:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=257,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=None,
        # Wide weights, so that answers differ and no two logits are alike.
        initializer_range=0.5,
    )
    model = LlamaForCausalLM(config).eval()
    # Never the likeliest: greedy answers are as long as a test wants them.
    model.lm_head.weight.data[0].zero_()
    tiny = Tiny(model, build_tokenizer(), manifest_with(None))
    answer = tuple(Engine(tiny).greedy(PROBE_PROMPT, 16))
    probe = Probe(prompt="Hello", prompt_token_ids=PROBE_PROMPT, answer_token_ids=answer, answer="")
    return Tiny(model, tiny.tokenizer, manifest_with(probe))


def manifest_with(probe: Probe | None) -> Manifest:
    return Manifest(
        kind=ArtifactKind.QUANTIZED_CHECKPOINT, digest="sha256:" + "0" * 64, inputs={}, files=(), probe=probe
    )


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return build()


@pytest.fixture(scope="session")
def artifact(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("store"))
    with store.publish({"model": "tiny"}, ArtifactKind.QUANTIZED_CHECKPOINT) as draft:
        tiny.model.save_pretrained(draft.directory)
        tiny.tokenizer.save_pretrained(draft.directory)
        draft.probe = tiny.manifest.probe
    return next((store.root / "artifacts").glob("[!.]*"))


@dataclass
class Reply:
    """An HTTP response, read to the end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The server-sent events; [DONE] stays text."""
        data = [line.removeprefix("data: ") for line in self.body.decode().split("\n\n") if line]
        return [item if item == "[DONE]" else json.loads(item) for item in data]


@dataclass
class Client:
    """Speaks HTTP to a port; knows the served name."""

    port: int
    model: str = NAME

    def get(self, path: str) -> Reply:
        return self.send("GET", path, None)

    def post(self, path: str, **body: Any) -> Reply:
        return self.send("POST", path, json.dumps({"model": self.model, **body}).encode())

    def complete(self, **body: Any) -> Reply:
        return self.post("/v1/completions", **{"prompt": "Hello", "temperature": 0, "max_tokens": 16, **body})

    def chat(self, **body: Any) -> Reply:
        messages = [{"role": "user", "content": "Hi"}]
        return self.post("/v1/chat/completions", **{"messages": messages, "temperature": 0, "max_tokens": 16, **body})

    def open(self, path: str, **body: Any) -> http.client.HTTPConnection:
        """Send a request and leave its answer unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(
            "POST", path, json.dumps({"model": self.model, **body}), {"content-type": "application/json"}
        )
        return connection

    def long(self, **body: Any) -> http.client.HTTPConnection:
        """A request that takes seconds, left unread."""
        return self.open("/v1/completions", **{"prompt": "Hello", "temperature": 0, "max_tokens": 4000, **body})

    def send(self, method: str, path: str, body: bytes | None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body)
            return read(connection)
        finally:
            connection.close()

    def metric(self, line: str) -> float:
        """The value of the sample whose line starts with `line` (a name, or a name and its first labels)."""
        for sample in self.get("/metrics").body.decode().splitlines():
            if sample.startswith(line):
                return float(sample.rsplit(" ", 1)[1])
        return 0.0


def read(connection: http.client.HTTPConnection) -> Reply:
    response = connection.getresponse()
    return Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@dataclass
class Starter:
    """Starts servers and stops them after the test."""

    running: list[tuple[Server, threading.Thread, Runtime]] = field(default_factory=list)

    def __call__(
        self, loaded: Tiny | None, *, concurrent: int = 2, queued: int = 8, drain: float = 20
    ) -> tuple[Client, Runtime, Server]:
        runtime = Runtime(NAME, concurrent, queued)
        if loaded:
            runtime.accept(loaded)
        listener = _listen("127.0.0.1", 0)
        config = uvicorn.Config(
            create_app(runtime), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3
        )
        server = Server(config, runtime, drain, Progress())
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        self.running.append((server, thread, runtime))
        return Client(port), runtime, server

    def stop(self) -> None:
        for server, thread, runtime in self.running:
            runtime.draining = True
            server._drain_seconds = 0
            server._deadline = 0
            thread.join(30)
            runtime.close()
            assert not thread.is_alive()


@pytest.fixture
def start() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def client(tiny: Tiny) -> Iterator[Client]:
    """A ready server that a module's tests share."""
    starter = Starter()
    yield starter(tiny)[0]
    starter.stop()
