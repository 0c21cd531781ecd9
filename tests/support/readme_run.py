"""Results of README's demo (2 cores of an AMD EPYC, 2026-11-24), and facts about published Llama models."""

from __future__ import annotations

from support.domain_world import SMOLLM2
from trtllm_api.contract import ArtifactResult, BuildResult, FetchResult, QuantizeResult, Stage
from trtllm_api.digest import digest_of
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import CandidateStatus, Measures, Verdict
from trtllm_api.quantization import Method
from trtllm_planner.model_config.facts import facts_from_config

MIB = 1024**2
SOURCE, ARTIFACT, REQUEST = (digest_of(f"{what} of an example") for what in ("source", "artifact", "request"))


def llama(layers: int, hidden: int, intermediate: int, heads: int) -> ModelFacts:
    """Facts of a Llama 3.1 from its published configuration."""
    return facts_from_config(
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "bfloat16",
            "num_hidden_layers": layers,
            "hidden_size": hidden,
            "intermediate_size": intermediate,
            "num_attention_heads": heads,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
            "max_position_embeddings": 131072,
        }
    )


LLAMA_8B = llama(32, 4096, 14336, 32)
LLAMA_70B = llama(80, 8192, 28672, 64)
LLAMA_405B = llama(126, 16384, 53248, 128)


def fetched(facts: ModelFacts = SMOLLM2, revision: str | None = None) -> BuildResult:
    """Result of a Job that fetched the source."""
    path = "smollm2-135m-instruct" if revision is None else f"sources/{SOURCE[7:39]}"
    fetch = FetchResult(
        digest=SOURCE,
        revision=revision,
        path=path,
        manifest_path=f"sources/{SOURCE[7:39]}/manifest.json",
        bytes=facts.bytes,
        facts=facts,
    )
    return BuildResult(stage=Stage.FETCH, exit_code=0, fetch=fetch)


_INT4 = CandidateStatus(
    method=Method.INT4_WEIGHT_ONLY,
    group_size=64,
    measures=Measures(perplexity="25.64", kl_divergence="0.6218", top_token_agreement="61.6%", canaries="1/1"),
    perplexity_change="+44.1%",
    bytes=111 * MIB,
    verdict=Verdict.REFUSED,
    reason="PerplexityTooHigh",
    message="Perplexity rose by 44.1%, from 17.79 to 25.64; the limit is 10%.",
    explanation="the KL divergence comes, by layer 11 % from layers.29, 10 % from layers.2, 7 % from layers.11; "
    "by kind 31 % from mlp.down_proj, 29 % from mlp.gate_up",
)
_INT8 = CandidateStatus(
    method=Method.INT8_WEIGHT_ONLY,
    measures=Measures(perplexity="17.92", kl_divergence="0.004712", top_token_agreement="95.8%", canaries="1/1"),
    perplexity_change="+0.8%",
    bytes=156 * MIB,
    verdict=Verdict.PASSED,
    reason="QualityPassed",
    message="Every limit is kept.",
)


def quantized() -> BuildResult:
    """Result of a Job in which INT4 was refused, and INT8 passed and was published."""
    artifact = ArtifactResult(
        digest=ARTIFACT,
        path=f"artifacts/{ARTIFACT[7:39]}",
        bytes=156 * MIB,
        method=Method.INT8_WEIGHT_ONLY,
        report=f"reports/{REQUEST[7:39]}/report.html",
    )
    result = QuantizeResult(
        reference=Measures(perplexity="17.79", canaries="1/1"), candidates=(_INT4, _INT8), artifact=artifact
    )
    return BuildResult(stage=Stage.QUANTIZE, exit_code=0, quantize=result)
