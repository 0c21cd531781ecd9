"""Requests and adapters that a server does not take: S18 to S23 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier

REQUEST: Final = (
    Entry(
        "S18",
        Reason.REQUEST_TOO_LONG,
        "prompt longer than a batch may be",
        (
            Pattern(
                "should not exceed max_num_tokens",
                r"sum of prompt length \(?(?P<prompt>[\d.]+)?.*should not exceed max_num_tokens\D{0,5}(?P<limit>\d+)?",
            ),
            Pattern(
                "prompt",
                r"(?:prompt|input)(?: token)?s?[ _]len\w*\D{0,12}(?P<prompt>\d+)\D{0,40}"
                r"(?:exceeds?|larger|greater|longer)\D{0,60}(?P<limit>\d+)",
            ),
            Pattern(
                "must be less than max sequence length",
                r"Input length \(?(?P<prompt>\d+)?.*must be less than max sequence length \(?(?P<limit>\d+)?",
            ),
        ),
        "A prompt[[ of {prompt} tokens]] is longer than the limit[[ of {limit}]].",
        "Enable chunked prefill, raise max_num_tokens or max_seq_len, or send shorter prompts.",
    ),
    Entry(
        "S18c",
        Reason.REQUEST_TOO_LONG,
        "a request is longer than the model or server takes",
        (
            Pattern(
                "maximum context length",
                r"maximum context length(?: is|:| of)? ?\(?(?P<limit>\d+)?(?:.{0,60}(?:requested|request has"
                r"|prompt contains"
                r"|resulted in)\D{0,20}(?P<prompt>\d+))?",
            ),
            *(
                Pattern(
                    word,
                    r"(?:prompt|input|request\w*|num\w*)\b.{0,30}tokens?\b.{0,80}(?:exceed\w*|too long|longer"
                    r" than|larger than"
                    r"|greater than|less than or equal to)\b.{0,60}(?:max\w*|limit|allowed|context)",
                )
                for word in ("exceed", "longer than", "larger than", "greater than", "less than or equal")
            ),
            Pattern("too long to fit", r"prompt\b.{0,60}too long to fit"),
            Pattern("default_max_tokens", r"default_max_tokens \(?-?\d+\)? (?:must|should) be greater than 0"),
            Pattern("too long for the", r"Sequence length is too long for the \w+ kernel"),
            Pattern("maxsequencelength", r"input length is (?:equal to or )?larger that? ?n? ?maxSequenceLength"),
        ),
        "A request[[ of {prompt} tokens]] is longer than the limit[[ of {limit}]].",
        "Send shorter requests, or raise max_seq_len and max_num_tokens as far as the model allows.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "S19",
        Reason.INVALID_OPTIONS,
        "limits above what the model was made for",
        (
            *(
                Pattern(
                    word,
                    r"max_(?:model_len|seq_len|seqlen|input_len|sequence_length)\w*\W{1,3}(?P<asked>\d+)?\W.{0,40}"
                    r"(?:greater|larger|exceed\w*|longer)\b.{0,60}(?:derived|max_position_embeddings|model's|\bmodel\b)"
                    r"(?:\D{0,40}(?P<limit>\d+))?",
                )
                for word in ("exceed", "longer than", "larger than", "greater than")
            ),
        ),
        "The asked sequence length[[ of {asked}]] is above what the model was made for[[ ({limit})]].",
        "Lower it, or give the model a rope_scaling that reaches so far.",
    ),
    Entry(
        "S20",
        Reason.REQUEST_TOO_LONG,
        "shape outside the engine's profiles",
        (
            Pattern("does not satisfy any optimization profile"),
            Pattern("engine supports", r"engine supports \W{0,2}\[?\(?min"),
            Pattern(
                "dimension",
                r"(?:static dimension mismatch|expected dimensions? (?:are|is))"
                r" .{0,60}\[|setInputShape.{0,80}(?:fail|error)",
            ),
            Pattern("supported range", r"dimension .{0,40}(?:out of|outside|not in) .{0,30}supported range"),
            Pattern("has invalid shape", r"Tensor '\w+' has invalid shape .{1,80}expected"),
            Pattern(
                "assertion failed",
                r"Assertion failed: \w*(?:len|length|tokens?|batch\w*)\w* <=? m?_?max\w*(?:len|length|tokens?|seq"
                r"|batch|input)\w*",
            ),
        ),
        "A request's shape lies outside what the engine was built for.",
        "Keep requests within max_batch_size, max_input_len and max_num_tokens, or build with larger ones.",
    ),
    Entry(
        "S22",
        Reason.INVALID_OPTIONS,
        "more draft tokens than the engine takes",
        (
            Pattern(
                "number of draft tokens",
                r"Number of draft tokens \(?(?P<got>\d+)?\)?.*?(?:larger|greater|exceed\w*)\D{0,40}(?P<limit>\d+)?",
            ),
            Pattern(
                "draft tokens",
                r"(?:Error|failed)\b.{0,80}draft tokens?\b\D{0,10}(?P<got>\d+)\D{0,40}(?:exceed\w*|larger"
                r"|greater)\D{0,40}(?P<limit>\d+)?",
            ),
        ),
        "More draft tokens[[ ({got})]] than the engine's maximum[[ ({limit})]].",
        "Lower the draft length, or build with a larger max_draft_len.",
    ),
    Entry(
        "S23",
        Reason.INVALID_OPTIONS,
        "LoRA rank above the maximum",
        (
            Pattern(
                "invalid low_rank",
                r"Invalid low_rank \(?(?P<got>\d+)?\)?.*?must be smaller than (?:mMaxLowRank)?\D{0,4}(?P<limit>\d+)?",
            ),
            Pattern(
                "lora",
                r"lora.{0,12}rank\D{0,12}(?P<got>\d+)\D{0,40}(?:exceed|larger|greater|smaller)\D{0,40}(?P<limit>\d+)",
            ),
        ),
        "The adapter's rank[[ ({got})]] is above max_lora_rank[[ ({limit})]].",
        "Raise max_lora_rank, or use a smaller adapter.",
    ),
)
