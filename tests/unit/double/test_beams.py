"""Beam search and several samples: what is found, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import WITHIN, Machine, Server, make_engine

PROMPT = [5, 6, 7]
TOKENS = 8


@pytest.fixture(scope="session")
def checkpoint(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from double_checkpoints import write_checkpoint

    target = tmp_path_factory.mktemp("beams") / "checkpoint"
    write_checkpoint(model, target, dtype="bfloat16")
    return target


def ask(server: Server, path: str = "/v1/completions", **body: Any) -> Any:
    prompt = {"prompt": PROMPT} if path == "/v1/completions" else {"messages": [{"role": "user", "content": "Hi"}]}
    status, reply = server.post(path, max_tokens=TOKENS, temperature=0, **prompt, **body)
    return json.loads(reply) if status == 200 else json.loads(reply)["message"]


def texts(reply: Any) -> list[str]:
    return [choice["text"] for choice in reply["choices"]]


class Judge:
    """How likely the model finds a text."""

    def __init__(self, model: Path) -> None:
        from double_http import Loaded
        from trtllm_builder.checkpoint import load_model, load_tokenizer
        from trtllm_builder.serve.generation import Engine

        self.model, self.tokenizer = load_model(model, "cpu"), load_tokenizer(model)
        self.engine = Engine(Loaded(self.model, self.tokenizer))

    def best(self, width: int) -> tuple[list[str], list[float]]:
        """Texts and scores of a search that is written out: no sequence of the tiny model ends early."""
        import torch

        beams: list[tuple[float, list[int]]] = [(0.0, [])]
        for _ in range(TOKENS):
            with torch.inference_mode():
                logits = self.model(torch.tensor([PROMPT + tokens for _, tokens in beams])).logits[:, -1].float()
            chances = logits.log_softmax(-1)
            grown = [
                (score + float(chances[row, token]), [*tokens, int(token)])
                for row, (score, tokens) in enumerate(beams)
                for token in chances[row].topk(width + 1).indices.tolist()
            ]
            beams = sorted(grown, key=lambda beam: -beam[0])[:width]
        assert not any(self.tokenizer.eos_token_id in tokens for _, tokens in beams)
        return [self.tokenizer.decode(tokens) for _, tokens in beams], [score for score, _ in beams]


def test_an_engine_finds_the_best_beams(machine: Machine, model: Path, checkpoint: Path) -> None:
    engine = make_engine(machine, checkpoint, "--max_batch_size", "4", "--max_seq_len", "64", "--max_beam_width", "3")
    judge = Judge(model)
    three, scores = judge.best(3)
    assert len(set(three)) == 3
    assert scores == sorted(scores, reverse=True)
    with machine.serving(engine, "--backend", "tensorrt", "--tokenizer", model, *WITHIN) as server:
        reply = ask(server, use_beam_search=True, n=3)
        assert texts(reply) == three
        assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
        assert reply["usage"]["completion_tokens"] == 3 * TOKENS
        assert texts(ask(server, use_beam_search=True, n=1, best_of=3)) == three[:1]
        assert texts(ask(server, use_beam_search=True, n=2)) == judge.best(2)[0]
        assert texts(ask(server)) == judge.best(1)[0]
        _check_chat(server)
        _check_refusals(server)


def _check_chat(server: Server) -> None:
    path = "/v1/chat/completions"
    wanted = [choice["message"]["content"] for choice in ask(server, path, use_beam_search=True, n=2)["choices"]]
    assert len(set(wanted)) == 2
    messages = [{"role": "user", "content": "Hi"}]
    body = {"messages": messages, "max_tokens": TOKENS, "use_beam_search": True, "n": 2, "stream": True}
    _, reply = server.post(path, temperature=0, **body)
    said = ["", ""]
    for line in reply.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                said[choice["index"]] += choice["delta"].get("content", "")
    assert said == wanted


def _check_refusals(server: Server) -> None:
    beams = "cannot exceed max_beam_width (3) when use_beam_search is True"
    assert ask(server, use_beam_search=True, n=4) == f"sampling_params.n (4) {beams}"
    assert ask(server, use_beam_search=True, n=2, best_of=5) == f"sampling_params.best_of (5) {beams}"
    assert ask(server, n=5) == "sampling_params.n (5) cannot exceed max_batch_size (4) when use_beam_search is False"
    assert ask(server, n=3, best_of=2) == "best_of (2) cannot be less than n (3)"


def test_a_pytorch_server_takes_its_own_beam_width_and_no_other(machine: Machine, model: Path) -> None:
    with machine.serving(model, "--backend", "pytorch", "--max_beam_width", "2") as server:
        assert texts(ask(server, use_beam_search=True, n=2)) == Judge(model).best(2)[0]
        for body, width in (({}, 1), ({"use_beam_search": True, "n": 3}, 3)):
            assert ask(server, **body) == (
                f"Request beam width {width} is not equal to max_beam_width 2. This is not supported!"
            )
        assert server.get("/health_generate")[0] == 500


def test_several_samples_are_as_many_answers(machine: Machine, model: Path) -> None:
    with machine.serving(model, "--backend", "pytorch") as server:
        body = {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 1.5, "n": 3}
        seeded = [texts(json.loads(server.post("/v1/completions", seed=5, **body)[1])) for _ in range(2)]
        assert seeded[0] == seeded[1]
        assert len(set(seeded[0])) == 3


def test_the_pytorch_runtime_of_0_20_is_asked_for_no_beams() -> None:
    from double_requests import ask as check
    from trtllm_builder.serve.generation import Job
    from trtllm_planner.tensorrt_llm.versions import Version

    limits = {"max_beam_width": 2, "max_batch_size": 8}
    with pytest.raises(ValueError, match="no beam search of this version's PyTorch runtime"):
        check(Job((5,), 1), {"use_beam_search": True, "n": 2}, limits, Version(0, 20, 0, 0), pytorch=True)
