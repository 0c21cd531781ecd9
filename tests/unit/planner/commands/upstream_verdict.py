"""What upstream's own programs refuse of the command lines and options that were made for a spec."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import click
from command_samples import Commands

from double_arguments import command_of, parser_of
from double_checks import attention_features, check_build, check_conversion
from double_options import Options
from double_upstream import Program, program
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat

_PATHS = {"gemma": ("--model-dir", "--output-model-dir")}
_USUAL_PATHS = ("--model_dir", "--output_dir")
_H100 = (9, 0)


def refused_by_upstream(made: Commands) -> list[str]:
    """Sentences of upstream, each with the program that says it; empty if everything is taken."""
    return [*_conversion(made), *_build(made), *_serve(made)]


def _conversion(made: Commands) -> Iterator[str]:
    if made.convert is None or made.family is None:
        return
    paths = _PATHS.get(made.family, _USUAL_PATHS)
    words = [paths[0], "/source", paths[1], "/work", *made.convert]
    facts = made.question.facts
    config = {
        "vocab_size": facts.vocabulary_size,
        "num_attention_heads": facts.heads,
        "num_key_value_heads": facts.key_value_heads,
    }
    yield from _argparse(
        f"convert-{made.family}", str(made.version), words, lambda known, args: check_conversion(known, args, config)
    )


def _build(made: Commands) -> Iterator[str]:
    if made.build is None:
        return
    words = ["--checkpoint_dir", "/checkpoint", "--output_dir", "/engine", "--output_timing_cache", "/t", *made.build]
    config, question = checkpoint_config(made), made.question
    seen: list[argparse.Namespace] = []

    def check(known: Program, args: argparse.Namespace) -> None:
        seen.append(args)
        check_build(known, args, config, _H100)

    yield from _argparse("trtllm-build", str(made.version), words, check)
    if seen and question.options.chunked_prefill:
        features = attention_features(vars(seen[0]), config, _H100)
        if not features["use_paged_context_fmha"]:
            yield "trtllm-serve: chunked prefill asserts without paged context attention"


def checkpoint_config(made: Commands) -> dict[str, Any]:
    """config.json of the checkpoint that the conversion writes, as far as checks look at it."""
    question = made.question
    smooth = question.algorithm is Algorithm.SMOOTH_QUANT
    algorithm = (
        "W8A8_SQ_PER_CHANNEL" if smooth else None if question.algorithm is Algorithm.NONE else question.algorithm
    )
    cache_format = None if question.kv_cache is KvFormat.AUTO else question.kv_cache.value
    extra = made.convert or ()
    return {
        "architecture": question.facts.architecture,
        "mapping": {"world_size": question.layout.world},
        "quantization": {"quant_algo": algorithm, "kv_cache_quant_algo": cache_format},
        "disable_weight_only_quant_plugin": "--disable_weight_only_quant_plugin" in extra,
    }


def _serve(made: Commands) -> Iterator[str]:
    if made.serve is None:
        return
    words = ["/model", "--tokenizer", "/model", "--host", "localhost", "--port", "8000", *made.serve]
    words += [made.options_flag, "/options.yaml"]
    version = str(made.version)
    try:
        _command(version).main(words, standalone_mode=False)
    except click.ClickException as error:
        yield f"trtllm-serve: {error.format_message()}"
    try:
        _options(version, pytorch=made.question.runtime is EngineRuntime.PYTORCH).checked(made.options or {})
    except (ValueError, TypeError, OSError) as error:
        yield f"trtllm-serve: {error}"


def _argparse(
    name: str, version: str, words: Sequence[str], check: Callable[[Program, argparse.Namespace], None]
) -> Iterator[str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            args = _parser(name, version).parse_args(list(words))
        check(program(name, version), args)
    except SystemExit:
        yield f"{name}: {said.getvalue().strip().splitlines()[-1]}"
    except Exception as error:
        yield f"{name}: {type(error).__name__}: {error}"


@cache
def _parser(name: str, version: str) -> argparse.ArgumentParser:
    return parser_of(program(name, version))


@cache
def _command(version: str) -> click.Command:
    return command_of(program("trtllm-serve", version), lambda **_: None)


@cache
def _options(version: str, *, pytorch: bool) -> Options:
    return Options(version, pytorch=pytorch)
