"""Failures of conversion: C1 to C17 of docs/failures.md."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.model import Certainty

_LIKELY: Final = Certainty.LIKELY
_COMPLAINS: Final = r"(?=.*\b(?:must|should|not|cannot|can't|needs?|error|assert\w*|mismatch)\b)"
_ASSERTED: Final = r"^\W*(?:\w+\W+)?AssertionError\b"

CONVERT: Final = (
    Entry(
        "C1",
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "AWQ file that the old loader does not take",
        (
            Pattern(
                "quantized checkpoint format",
                r"(?:Unsupported (?P<method>\S+) )?quantized checkpoint format(?(method)|.{0,10}not supported)",
            ),
        ),
        "The[[ {method}]] checkpoint is not in the layout that this converter reads.",
        "Name the quantized file itself with its full path, or quantize the BF16 original with this operator.",
    ),
    Entry(
        "C2",
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "AutoAWQ or AutoGPTQ directory that does not convert",
        (
            Pattern("desc_act", r"desc_act.{0,120}(?:not supported|unsupported|must be|only|should be|raise|error)"),
            Pattern("desc_act", r"(?:not support|unsupported|cannot|can't).*desc_act"),
            Pattern("autoconfig cannot load", r"AutoConfig cannot load the huggingface config", certainty=_LIKELY),
            Pattern(
                "has no attribute 'weight'",
                r"'(?P<layer>WQLinear\w*|QuantLinear\w*|\w*(?:GPTQ|AWQ)\w*)' object has no attribute 'weight'",
            ),
            Pattern(
                "keyerror: '",
                r"KeyError: '(?P<layer>[\w.]*(?:q_proj|k_proj|v_proj|o_proj"
                r"|gate_proj|up_proj|down_proj|c_attn|c_proj|qkv_proj|W_pack"
                r"|w1|w2|w3)\.weight)'",
                certainty=_LIKELY,
            ),
            Pattern(
                "keyerror: '",
                r"KeyError: '(?P<layer>[\w.]*(?:proj|c_attn|W_pack|w[123])\.(?:scales|qzeros|g_idx|qweight))'",
            ),
            Pattern("qweight", r"(?:Error|unexpected|missing|not found|no attribute).*(?P<layer>qweight)"),
        ),
        "The checkpoint's weights are packed by AutoAWQ or AutoGPTQ in a form that does not convert[[ ({layer})]].",
        "Quantize the BF16 original instead; only LLaMA-like models with desc_act=false convert.",
    ),
    Entry(
        "C3",
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "GPTQ through the LLM API",
        (
            Pattern(
                "expected tensor as element", r"expected Tensor as element \d+ in argument \d+, but got (?P<type>\w+)"
            ),
        ),
        "A packed GPTQ checkpoint was given to a loader that wants plain weights (it found {type} for a tensor).",
        "Quantize the BF16 original, or convert this one for the engine runtime.",
    ),
    Entry(
        "C4",
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "a directory that is no TensorRT-LLM checkpoint",
        (
            Pattern(
                "keyerror: '",
                r"KeyError: '(?P<key>architecture|mapping|logits_dtype|producer)'",
                within=r"from_checkpoint|from_json_file|from_dict|commands/build\.py",
            ),
        ),
        "The directory holds no TensorRT-LLM checkpoint: its config.json has no `{key}`.",
        "Convert or quantize the model first, or serve the Hugging Face directory with `runtime: pytorch`.",
    ),
    Entry(
        "C5",
        Reason.HEADS_NOT_DIVISIBLE,
        "KV heads and tensor parallelism",
        (
            Pattern("gqa requires the number of k/v heads", r"GQA requires the number of K/V heads"),
            Pattern("assert", _ASSERTED, within=r"dup_kv_(?:weight|bias)"),
            Pattern("tp_size %", r"assert .*tp_size\s*%\s*(?:self\.)?(?:num_(?:kv_|key_value_)?heads?|n_kv\w*)"),
            Pattern(
                "heads",
                _COMPLAINS + r"(?<![a-z])(?:k/?v|key[_ ]value)[_ ]?heads?\b\D{0,40}"
                r"(?P<kv>\d+)\D{0,80}(?:divisib|multiple|divide|match)\D{0,60}"
                r"(?P<tp>\d+)",
            ),
            Pattern(
                "heads",
                r"(?<![a-z])(?:kv|key[_ ]value|k/v)[_ ]?heads?\b.{0,60}"
                r"(?:divisible|multiple of|match).{0,40}(?:tp|tensor|parallel)",
            ),
            Pattern("k/v heads", r"heads\b.{0,30}divisible by the number of K/V heads"),
            Pattern("kv heads are distributed", r"how the (?P<kv>\d+) KV heads are distributed among (?P<tp>\d+)"),
            Pattern(
                "heads",
                r"(?:cannot|can't|unable to) (?:divide|split|shard|distribute) (?P<kv>\d+) kv[_ ]heads(?:\D{0,20}("
                r"?P<tp>\d+))?",
            ),
        ),
        "The KV heads[[ ({kv})]] do not divide by the tensor parallelism[[ ({tp})]], nor the other way round.",
        "Use a tensor parallelism that divides the KV heads or is a multiple of them.",
    ),
    Entry(
        "C6",
        Reason.HEADS_NOT_DIVISIBLE,
        "attention heads and tensor parallelism",
        (
            Pattern(
                "heads",
                _COMPLAINS + r"(?<![a-z])heads?\b\D{0,30}?\(?(?P<heads>\d+)\)?\D{0,60}"
                r"(?:divi[sd]|multiple|divide|split|shard)\D{0,70}(?P<tp>\d+)",
            ),
            Pattern(
                "heads",
                r"(?<![a-z])heads?\b.{0,60}(?:divisible by|multiple of).{0,40}(?:tp|tensor|parallel|world|gpus|ranks)",
            ),
            Pattern("assert", _ASSERTED, within=r"heads?['\"\])]*\s*%"),
            Pattern("heads %", r"assert .*heads\s*%\s*(?:self\.)?(?:tp_size|world_size|tensor_parallel\w*|\(?tp)\b"),
        ),
        "The attention heads[[ ({heads})]] do not divide by the tensor parallelism[[ ({tp})]].",
        "Use a tensor parallelism that divides the heads, or pipeline parallelism for the rest.",
    ),
    Entry(
        "C7",
        Reason.SHARD_NOT_ALIGNED,
        "a packed shard is no multiple of 32 bytes",
        (
            Pattern(
                "rows and cols must be a multiple of",
                r"rows and cols must be a multiple of (?P<of>\d+)(?:.*num_rows_bytes "
                r"= (?P<rows>\d+))?(?:.*num_cols?_bytes = (?P<cols>\d+))?",
            ),
            Pattern("num_rows_bytes", r"num_rows_bytes\s*=\s*(?P<rows>\d+)(?:.*num_cols?_bytes\s*=\s*(?P<cols>\d+))?"),
        ),
        "A packed weight's shard[[ of {rows} bytes]][[ by {cols} "
        "bytes]] is not a multiple of the kernel's[[ {of}]] bytes.",
        "Use a smaller tensor parallelism so that every shard stays aligned, or another algorithm.",
    ),
    Entry(
        "C10",
        Reason.SHARD_NOT_ALIGNED,
        "rows are no multiple of 64 or 128",
        (
            Pattern(
                "rows must be a multiple of",
                r"\brows must be a multiple of (?P<of>\d+)(?:\D{1,60}(?P<rows>\d+))?",
            ),
        ),
        "A weight's shard[[ has {rows} rows, which]] is not a multiple of {of} rows.",
        "Use a smaller tensor parallelism; W4A8 needs multiples of 128, INT4 of 64.",
    ),
    Entry(
        "C11",
        Reason.SHARD_NOT_ALIGNED,
        "vocabulary and tensor parallelism on an old converter",
        (Pattern("array split does not result in an equal division"),),
        "An array, usually the vocabulary's, does not divide by the tensor parallelism in this converter.",
        "Use a newer image (it pads), or a tensor parallelism that divides the vocabulary.",
    ),
    Entry(
        "C12",
        Reason.ROPE_SCALING_NOT_SUPPORTED,
        "rope_type with an old converter",
        (
            Pattern("keyerror: 'type'", r"KeyError: 'type'", within=r"rope|rotary"),
            Pattern("keyerror: 'type'", r"KeyError: 'type'", certainty=_LIKELY),
            Pattern("keyerror: 'rope_type'"),
            Pattern("_factor'", r"KeyError: '(?:short|long|low_freq|high_freq)_factor'"),
            Pattern("keyerror: '", r"KeyError: '(?:factor|rope_scaling|rope_theta|original_max_\w+)'"),
            Pattern(
                "rope_scaling",
                r"rope_scaling.{0,4}(?:'s .{1,20})? (?:must (?:be|have|contain)|should be|has|is) .*(?:type"
                r"|factor|dictionary)",
            ),
            Pattern(
                "rope",
                r"(?:unknown|unsupported|not supported|unrecognized|invalid)\W+"
                r"(?:got unsupported )?(?:rope|rotary)\w*.{0,10}(?:scaling"
                r"|type)",
            ),
            Pattern(
                "rotary", r"(?:unknown|unsupported|not supported|unrecognized|invalid)\W+rotary.{0,10}(?:scaling|type)"
            ),
            Pattern(
                "rope",
                r"rope[_ ]?(?:scaling)?[_ ]?type\b.{0,30}(?:not|un)\W?(?:yet )?(?:supported|recogni[sz]ed|implemented)",
            ),
        ),
        "The model's rope_scaling is written in a form (rope_type) that this version does not read.",
        "Use a newer image, or write `type` beside `rope_type` in config.json.",
    ),
    Entry(
        "C14",
        Reason.HOST_OUT_OF_MEMORY,
        "the process was killed or refused memory",
        (
            Pattern("killed process", r"Killed process \d+ \((?P<name>[^)]+)\)(?:.*anon-rss:(?P<rss>\d+ ?\w+))?"),
            Pattern("oom-kill", r"oom-kill(?:er)?\b|invoked oom-killer"),
            Pattern("oom_kill", r"\boom_kill (?:event|constraint)"),
            Pattern("oom killed", r"\bOOM Killed\b"),
            Pattern("oom-killed"),
            Pattern("oomkilled"),
            Pattern("can't allocate memory", r"can't allocate memory(?:: you tried to allocate (?P<asked>\d+ bytes))?"),
            Pattern("not enough memory: you tried to allocate", r"you tried to allocate (?P<asked>\d+ bytes)"),
            Pattern("unable to allocate", r"Unable to allocate (?P<asked>[\d.]+ \wi?B) for an array"),
            Pattern("cannot allocate memory", r"^(?!.*\bibv_).*Cannot allocate memory"),
            Pattern("memoryerror", r"^\W*(?:\w+\.)*_?(?:Array)?MemoryError\b"),
            Pattern("bad_alloc", r"std::bad_alloc"),
        ),
        "The container or node ran out of memory[[ at a request for {asked}]][[ ({name} was killed)]][[ at {rss}]].",
        "Raise podTemplate.resources.limits.memory above what the process needs at its peak.",
    ),
    Entry(
        "C14k",
        Reason.HOST_OUT_OF_MEMORY,
        "something sent SIGKILL",
        (
            Pattern("killed", r"^(?:(?:\S+: )?line \d+:\s*)?(?:\d+ )?Killed\b(?:\s+(?P<name>\S.{0,60})?)?$"),
            Pattern("killed", r"^\S*(?:bash|sh): (?:line )?\d+: +\d+ Killed\b"),
            Pattern("killed", r"signal 9 \(?Killed|Signal: Killed \(9\)"),
            Pattern("sigkill"),
            Pattern("signal: 9", r"(?:terminated|exited|killed|died).{0,30}signal: 9\b"),
            Pattern("signal 9", r"(?:terminated|exited|killed|died).{0,30}signal:? 9\b"),
            Pattern("exitcode", r"exitcode\W{1,5}-9\b"),
            *(
                Pattern(word, r"exit(?:ed with)? (?:code|status)\W{1,5}(?:-9|137)\b")
                for word in ("exit code", "exit status", "exited with")
            ),
            Pattern("died with <signals.sigkill"),
            Pattern("terminated abruptly", r"process .{0,60}terminated abruptly"),
            Pattern("killed", r"^\W*\d{2,9} killed {2,20}(?P<name>\S.{0,60})"),
        ),
        "a process was killed, most often because the container ran out of memory.",
        "Raise podTemplate.resources.limits.memory above what the process needs at its peak.",
        tier=Tier.CONSEQUENCE,
        certainty=_LIKELY,
        yields=True,
    ),
    Entry(
        "C16",
        Reason.CHECKPOINT_MISMATCH,
        "explicit head_dim, or weights of another shape",
        (
            Pattern(
                "invalid for input of size",
                r"shape '?\[(?P<shape>[\d, -]+)\]'? is invalid for input of size (?P<size>\d+)",
            ),
            Pattern(
                "cannot reshape array of size",
                r"cannot reshape array of size (?P<size>\d+) into shape \(?(?P<shape>[\d, -]+)\)?",
            ),
            Pattern(
                "qkv",
                r"(?=.*\bshape)(?:unexpected|wrong|invalid|mismatch\w*)\b.{0,80}\bqkv\b"
                r"|\bqkv\b.{0,60}shape.{0,60}(?:unexpected|mismatch|not "
                r"match|expected)",
            ),
            Pattern("size mismatch for", r"size mismatch for (?P<name>[\w.]+)"),
            Pattern(
                "trying to set a tensor of shape",
                r"Trying to set a tensor of shape \S*?\(?\[(?P<shape>[\d, ]+)\]\)? in \"?(?P<name>[\w.]+)",
            ),
            Pattern("size of tensor a", r"size of tensor a \(\d+\) must match the size of tensor b \(\d+\)"),
            Pattern("mat1 and mat2 shapes cannot be multiplied"),
            Pattern(
                "split_with_sizes expects",
                r"split_with_sizes expects split_sizes to sum exactly to (?P<size>\d+).*split_sizes=\[(?P<shape>["
                r"\d, ]+)\]",
            ),
            Pattern("exceeds dimension size"),
            Pattern(
                "must match the existing size",
                r"expanded size of the tensor \(\d+\) must match the existing size \(\d+\)",
            ),
            Pattern("could not broadcast input array"),
        ),
        "weights do not have the shape that the code derives[[ for {name}]][[ ({size} values into [{shape}])]]; "
        "typical for an explicit head_dim with old code.",
        "Use a newer image, and check head_dim, hidden_size and the heads in config.json.",
        certainty=_LIKELY,
    ),
    Entry(
        "C16n",
        Reason.CHECKPOINT_MISMATCH,
        "a weight that the loader expects is not in the checkpoint",
        (
            Pattern(
                "keyerror: '", r"KeyError: '(?P<name>\w+\.[\w.]*(?:weight|bias|scales?|weight_packed)(?:_inv|_\d)?)'"
            ),
            Pattern("no module or parameter named", r"no module or parameter named '(?P<name>[\w.]+)'"),
            Pattern("unexpected key(s) in state_dict", r"Unexpected key\(s\) in state_dict: \"?(?P<name>[\w.]+)"),
            Pattern("missing key(s) in state_dict", r"Missing key\(s\) in state_dict: \"?(?P<name>[\w.]+)"),
            Pattern("in loading state_dict", r"Error\(s\) in loading state_dict for (?P<name>\w+)"),
            Pattern(
                "the checkpoint",
                r"(?:following |some )?weights (?:were )?not (?:initialized|loaded|found) (?:from|in) (?:the"
                r" )?checkpoint"
                r"(?:: ?\{?['\"](?P<name>[\w.]+))?",
            ),
            Pattern(
                "keyerror: '",
                r"^\W*KeyError: '(?P<name>(?:\w+\.)*(?:model|transformer|layers|lm_head|language_model|decoder"
                r"|encoder|visual|mtp|h)(?:\.\w+)+)'",
            ),
            Pattern(
                "object has no attribute",
                r"'\w*(?:Linear|Experts|MoE|MLP|Embedding|Attention)\w*' object has no attribute '(?P<name>\w*(?:s"
                r"cale|weight|bias|amax)\w*)'",
            ),
        ),
        "a weight that this loader expects is not in the checkpoint[[: {name}]].",
        "Use a newer image (tied or renamed weights), or download the model again if its shards are not complete.",
        tier=Tier.VAGUE,
        certainty=_LIKELY,
    ),
    Entry(
        "C17",
        Reason.SHARD_NOT_ALIGNED,
        "a shard is no multiple of the quantization block",
        (
            Pattern("partial blocks are not supported", r"input dimension (?P<size>\d+) and block size (?P<by>\d+)"),
            Pattern(
                "is not divisible for block size",
                r"Weight shape (?P<size>\d+) of each TP tp=(?P<tp>\d+) is not divisible for block size (?P<by>\d+)",
            ),
            Pattern(
                "divisible",
                r"(?:block|group|quant|partition|intermediate|ffn|hidden|shard|rows"
                r"|cols|channels)\D{0,80}(?P<size>\d+)\D{0,60}(?:not|must "
                r"be|should be) (?:evenly )?(?:be )?divisible (?:by|for)\D{0,70}"
                r"(?P<by>\d+)",
            ),
            Pattern(
                "multiple of",
                r"(?:block|group|quant|partition|intermediate|ffn|hidden|shard|rows"
                r"|cols|channels)\D{0,80}(?P<size>\d+)\D{0,60}(?:not|must "
                r"be|should be) a multiple of\D{0,70}(?P<by>\d+)",
            ),
        ),
        "A weight's shard of {size}[[ (TP {tp})]] does not divide by the block of {by}.",
        "Use a smaller tensor parallelism or a block size that divides it.",
    ),
    Entry(
        "C17g",
        Reason.SHARD_NOT_ALIGNED,
        "some dimension does not divide",
        (
            Pattern(
                "divisible", r"(?<!\d)(?P<size>\d+)\D{0,60}(?:is )?not (?:evenly )?divisible by\D{0,40}(?P<by>\d+)"
            ),
            Pattern(
                "divisible",
                r"(?:Error|assert\w{0,20})\b.{0,160}(?:must|should|needs? to|ha(?:s|ve) to) be (?:evenly )?"
                r"divisible by",
            ),
            Pattern(
                "multiple of",
                r"Assertion failed: .{0,120}(?:must|should|needs? to|ha(?:s|ve) to) be an? (?:\w+ )?multiple of",
            ),
            Pattern("not divisible", r"(?:Error|assert\w{0,20})\b.{0,160}not (?:evenly )?divisible"),
            Pattern(
                "does not divide",
                r"(?:Error|assert\w*)\b.{0,40}(?:block|group)[_ ]?size \D{0,6}(?P<by>\d+) does not divide\D{0,30}("
                r"?P<size>\d+)",
            ),
        ),
        "a dimension[[ of {size}]] does not divide by[[ {by},]] the parallelism or the block.",
        "Try a smaller tensor parallelism; `trtllm plan` names the valid ones.",
        tier=Tier.VAGUE,
        certainty=_LIKELY,
    ),
)
