"""Models of many families from config.json alone, beside their published sizes (field_models.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from field_models import FIELD
from public_models import CONFIGS, H100, ask

from trtllm_planner.memory import estimate, kv_bytes_per_token
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.model_config.section import UnreadableConfig
from trtllm_planner.question import Limits, Options
from trtllm_planner.tensorrt_llm.layout import Layout


@pytest.mark.parametrize("name", FIELD)
def test_a_model_has_its_published_size_and_keeps_of_a_token_what_its_description_says(name: str) -> None:
    published = FIELD[name]
    facts = facts_from_config(published.config)
    assert facts.parameters / 1e9 == pytest.approx(published.billions, rel=0.03)
    assert kv_bytes_per_token(replace(ask(), facts=facts)) == published.token


@pytest.mark.parametrize(
    ("config", "gigabytes"),
    [
        (FIELD["gpt-oss-120b"].config, 65.2),
        (FIELD["gpt-oss-20b"].config, 13.8),
        ({**CONFIGS["DeepSeek-V3"], "num_nextn_predict_layers": 1}, 688.6),
    ],
)
def test_files_of_models_that_were_published_quantized_have_their_size(
    config: dict[str, Any], gigabytes: float
) -> None:
    """As Hugging Face shows the sum of the safetensors files."""
    assert facts_from_config(config).bytes / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_layers_that_predict_further_tokens_are_loaded_for_speculation_alone() -> None:
    facts = facts_from_config(FIELD["DeepSeek-V3.2"].config)
    assert facts.details.draft_parameters == pytest.approx(11.5e9, rel=0.02), "14B with embedding and head"
    question = replace(ask("DeepSeek-V3"), facts=facts, layout=Layout(8))
    with_them = replace(question, options=Options(drafts_with_own_layers=True))
    more = estimate(with_them, H100).weights - estimate(question, H100).weights
    assert more == pytest.approx(11.6e9 / 8, rel=0.02)


def test_the_state_of_recurrent_layers_is_kept_for_every_sequence_of_a_batch() -> None:
    """Nemotron 3 Nano: 23 Mamba layers of 64 heads x 64 x 128 numbers of 32 bits, and 3 of 6144 inputs in 16 bits."""
    facts = facts_from_config(FIELD["Nemotron-3-Nano-30B-A3B"].config)
    one = 23 * (64 * 64 * 128 * 4 + 3 * (64 * 64 + 2 * 8 * 128) * 2)
    assert facts.details.state_bytes == one
    question = replace(ask(), facts=facts, limits=Limits(max_seq_len=4096, max_batch_size=64))
    assert estimate(question, H100).state == 64 * one
    assert estimate(replace(question, layout=Layout(2, 2)), H100).state == 16 * one


def test_every_rank_holds_a_tower_whole() -> None:
    facts = facts_from_config(FIELD["Llama-4-Scout"].config)
    question = replace(ask(), facts=facts)
    halves = [estimate(replace(question, layout=Layout(tensor)), H100).weights for tensor in (1, 8)]
    assert halves[1] == pytest.approx((halves[0] - 2 * 871.3e6) / 8 + 2 * 871.3e6, rel=0.01)


def test_windows_that_the_server_is_given_shorten_what_layers_keep() -> None:
    """gpt-oss: every second layer looks back over 128 tokens."""
    facts = facts_from_config(FIELD["gpt-oss-120b"].config)
    question = replace(ask(), facts=facts, limits=Limits(max_seq_len=32768))
    assert kv_bytes_per_token(question) == 73728, "the server keeps all unless it is given windows"
    given = replace(question, options=Options(attention_windows=(128, 32768)))
    assert kv_bytes_per_token(given) == pytest.approx(73728 / 2 * (1 + 128 / 32768), abs=1)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "llama", "architectures": []}, "architectures"),
        ({"model_type": "own", "architectures": ["X"]}, "hidden_size"),
        ({"model_type": "llama", "architectures": ["X"], "num_hidden_layers": 10**9}, "and 1024 is the maximum"),
    ],
)
def test_what_no_plan_can_be_made_of_is_said(config: dict[str, object], says: str) -> None:
    with pytest.raises(UnreadableConfig, match=says):
        facts_from_config(config)
