"""Double of convert_checkpoint.py: one program for Llama-like families; examples/ has a script for each."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import tensorrt_llm
from double_arguments import parser_of
from double_checks import check_conversion
from double_settings import seconds, version_text
from double_upstream import program

_ARCHITECTURES = {"llama": ("LlamaForCausalLM", "MistralForCausalLM"), "qwen": ("Qwen2ForCausalLM",)}
"""Architectures of each family that the double computes."""
_NOT_COMPUTED = ("meta_ckpt_dir", "use_qserve", "use_nvfp4", "use_meta_fp8_rowwise_recipe", "save_config_only")


def main(family: str) -> None:
    """Run the conversion of the command line."""
    script = program(f"convert-{family}", version_text())
    args = parser_of(script).parse_args()
    told = {"quant_ckpt_path": None, "fp8_kv_cache": False, "use_fp8": False, "use_fp8_rowwise": False} | vars(args)
    print(tensorrt_llm.__version__, flush=True)
    used = next((name for name in _NOT_COMPUTED if told.get(name)), None)
    if used is not None:
        raise SystemExit(f"the double of convert_checkpoint.py does not know what --{used} does")
    started = time.monotonic()
    model = Path(args.model_dir or "")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    architecture = (config.get("architectures") or ["none"])[0]
    if architecture not in _ARCHITECTURES[family]:
        raise ValueError(f"Unsupported model architecture: {architecture}")
    check_conversion(script, args, config)
    # arguments are refused without torch: importing it takes longer than converting
    from double_checkpoints import WEIGHT_ONLY, ConversionError, write_checkpoint

    precision = args.weight_only_precision if args.use_weight_only else None
    if precision not in {None, *WEIGHT_ONLY}:
        raise SystemExit(f"the double of convert_checkpoint.py does not compute {precision}")
    try:
        write_checkpoint(
            model,
            Path(args.output_dir),
            dtype=args.dtype,
            tp=args.tp_size,
            pp=args.pp_size,
            cp=args.cp_size,
            moe_tp=args.moe_tp_size if args.moe_tp_size > 0 else None,
            moe_ep=args.moe_ep_size if args.moe_ep_size > 0 else None,
            weight_only=precision,
            group_size=args.group_size,
            quant_ckpt_path=Path(told["quant_ckpt_path"]) if told["quant_ckpt_path"] else None,
            smoothquant=args.smoothquant,
            per_channel=args.per_channel,
            per_token=args.per_token,
            int8_kv_cache=args.int8_kv_cache,
            fp8_kv_cache=told["fp8_kv_cache"],
            use_fp8=told["use_fp8"],
            use_fp8_rowwise=told["use_fp8_rowwise"],
            use_parallel_embedding=args.use_parallel_embedding,
            embedding_sharding_dim=args.embedding_sharding_dim,
        )
    except ConversionError as error:
        raise ValueError(str(error)) from error
    time.sleep(seconds("SECONDS"))
    sys.stdout.write(f"Total time of converting checkpoints: {time.monotonic() - started:.1f} s\n")
