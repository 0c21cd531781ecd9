"""`python -m trtllm_api.generate DIRECTORY...`: write the CRD YAML into every directory; `make generate` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from trtllm_api.crd import definitions

_HEADER = "# Generated from crds/trtllm_api by `make generate`; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """YAML for people: no anchors, and a text of several lines as such."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the name is PyYAML's
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def main(directories: list[str]) -> None:
    """Write `<plural>.yaml` for each definition."""
    for directory in map(Path, directories):
        directory.mkdir(parents=True, exist_ok=True)
        for definition in definitions():
            text = yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=120)
            (directory / f"{definition['spec']['names']['plural']}.yaml").write_text(_HEADER + text)


if __name__ == "__main__":
    main(sys.argv[1:])
