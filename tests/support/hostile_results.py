"""Statuses that the operator computes after a builder's pod left something strange: for both kinds and every stage."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import event
from hypothesis import strategies as st
from pydantic import ValidationError

from support.domain_world import World, fetch_result
from support.engine_world import KIND, end_stage, engine_of_source, nodes
from support.hostile_wires import Wire, as_json, spoilt, wires
from trtllm_api.base import ApiModel
from trtllm_api.contract import BuildResult, EngineResult, FetchResult, QuantizeResult

_TEXTS = {"message": "m" * 4096, "remedy": "r" * 4096}


@dataclass(frozen=True)
class News:
    """The end of one Job: whose it is, and which part of its result is strange."""

    kind: str
    name: str
    job: str
    stage: str
    part: str
    model: type[ApiModel]
    codes: tuple[int, ...]


NEWS = {
    "a fetched source": News("QuantizedModel", "smollm2", "fetch", "Fetch", "fetch", FetchResult, (0, 65)),
    "candidates": News("QuantizedModel", "smollm2", "quantize", "Quantize", "quantize", QuantizeResult, (0, 66)),
    "the source of an engine": News(KIND, "llama", "fetch", "Fetch", "fetch", FetchResult, (0, 65)),
    "an engine": News(KIND, "llama", "publish", "Publish", "engine", EngineResult, (0, 66)),
}


@cache
def _before(what: str) -> World:
    """A world that waits for these news."""
    world, news = World(), NEWS[what]
    if news.kind == KIND:
        nodes(world)
        engine_of_source(world)
        earlier = ("fetch", "convert", "build") if news.job == "publish" else ()
    else:
        modules = [f"a.{number}" for number in range(64)]
        world.model(quantization={"method": "INT4WeightOnly", "excludeModules": modules})
        earlier = ("fetch",) if news.job == "quantize" else ()
    world.settle(news.name, news.kind)
    for stage in earlier:
        end_stage(world, stage, news.name, fetch_result() if stage == "fetch" else None)
        world.settle(news.name, news.kind)
    return world


@st.composite
def statuses(draw: st.DrawFn, what: str) -> list[dict[str, Any]]:
    """Statuses of the two passes after the news: the second reads what the first wrote."""
    news, world = NEWS[what], copy.deepcopy(_before(what))
    code = draw(st.sampled_from(news.codes))
    message = _message(news, draw(spoilt(wires(news.model))), code)
    job = world.job(news.job, news.name)
    world.end_pod(world.pod(job), code, message)
    world.end_job(job, "Failed" if code else "Complete")
    return [world.reconcile(news.name, news.kind) for _ in range(2)]


def _message(news: News, wire: Wire, code: int) -> str:
    message = as_json({"stage": news.stage, "exitCode": code, **(_TEXTS if code else {}), news.part: wire})
    try:
        BuildResult.model_validate(json.loads(message))
    except ValidationError:
        event("the result cannot be read")
    else:
        event("the result can be read")
    return message
