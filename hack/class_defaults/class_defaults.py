#!/usr/bin/env python3
"""Writes two tables of the planner from transformers: defaults of its config classes, and its model types.

class_defaults.json has the values that a class assumes where config.json is silent. known_to_transformers.json has the
model types by the release that first had them, and the classes of tokenizers; the lists of older releases stay as they
are (taken from each release's configuration_auto.py). Runs in the builder's environment (`make generate`). Only the
configuration modules are imported: no model is made.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from transformers import PretrainedConfig
from transformers.configuration_utils import SubConfigSpec
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

_NO_SHAPE = re.compile(
    r"(_token_id|_token_index|^use_cache|^output_|^return_|^chunk_size_feed|^is_|cross_attention|dropout|_seq_length|"
    r"^summary_|^pretraining_tp|^norm_topk|^scale_|^rescale_|^residual_in|_kernels$|^problem_type|^reorder_|^start_n_|"
    r"^end_n_|^apply_|^slow_|^use_mambapy|^num_logits|^image_size|^vision_feature|^projector_hidden_act|_act$|"
    r"^num_beams|^torchscript|^init|^rope_interleave|^router_|^n_group$|^topk_group|^beta_|^gradient_|^do_|^label)"
)
"""Fields that change no shape and no cache: left out."""


def defaults() -> dict[str, dict[str, Any]]:
    """Table by model type: values of the class, its other names of fields, and the model types of its parts."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in _classes():
        if name not in found:
            entry = {
                "values": dict(_values(kind)),
                "names": dict(kind.attribute_map),
                "parts": {key: _part(spec) for key, spec in kind.sub_configs_defaults.items() if spec.model_type},
            }
            found[name] = {key: value for key, value in entry.items() if value}
    return dict(sorted(found.items()))


def _classes() -> Iterator[tuple[str, type[PretrainedConfig]]]:
    """Model types of language models, alone or behind a tower, and of their parts."""
    waiting = [
        (name, CONFIG_MAPPING[name])
        for name in {**MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, **MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}
    ]
    seen = set()
    while waiting:
        name, kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        yield name, kind
        for spec in kind.sub_configs_defaults.values():
            if spec.model_type:
                whole = issubclass(spec.config_class, PretrainedConfig)
                waiting.append((spec.model_type, spec.config_class if whole else CONFIG_MAPPING[spec.model_type]))


def _part(spec: SubConfigSpec) -> dict[str, Any]:
    """Model type of a part, and what the class of the whole gives it where config.json lacks the part."""
    values = {key: value for key, value in spec.init_kwargs.items() if _matters(key, value)}
    return {"type": spec.model_type} | ({"values": values} if values else {})


def _matters(name: str, value: object) -> bool:
    return isinstance(value, bool | int) and not _NO_SHAPE.search(name)


def _values(kind: type[PretrainedConfig]) -> Iterator[tuple[str, Any]]:
    for item in dataclasses.fields(kind):
        if _matters(item.name, item.default):
            yield item.name, item.default


def known(older: dict[str, list[str]]) -> dict[str, Any]:
    """Model types by release, oldest first, and tokenizer classes."""
    lists = {name: names for name, names in older.items() if name != transformers.__version__}
    before = {name for names in lists.values() for name in names}
    lists[transformers.__version__] = sorted(set(CONFIG_MAPPING_NAMES) - before)
    classes = {
        name
        for entry in TOKENIZER_MAPPING_NAMES.values()
        for name in (entry if isinstance(entry, tuple) else (entry,))
        if name
    }
    return {"model_types": lists, "tokenizers": sorted(classes | {"PreTrainedTokenizerFast"})}


def main() -> None:
    """The table with one line per model type, so that differences are easy to read."""
    lines = [f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in defaults().items()]
    text = "{\n" + f'  "transformers": {json.dumps(transformers.__version__)},\n' + ",\n".join(lines) + "\n}\n"
    directory = Path(sys.argv[1])
    (directory / "class_defaults.json").write_text(text, encoding="utf-8")
    table = directory / "known_to_transformers.json"
    found = known(json.loads(table.read_text(encoding="utf-8"))["model_types"])
    releases = [f"  {json.dumps(name)}: {json.dumps(names)}" for name, names in found["model_types"].items()]
    lists = (
        '{"model_types": {\n' + ",\n".join(releases) + '\n},\n"tokenizers": ' + json.dumps(found["tokenizers"]) + "}\n"
    )
    table.write_text(lists, encoding="utf-8")


if __name__ == "__main__":
    main()
