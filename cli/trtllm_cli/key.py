"""Identity of a resource: kind, namespace and name. Two resources are the same only if all three are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_diagnosis.model import shorten

_SHOWN: Final = 80
_KINDS: Final = {
    **dict.fromkeys(("qm", qm.KIND.lower(), qm.PLURAL), qm.KIND),
    **dict.fromkeys(("eb", eb.KIND.lower(), eb.PLURAL), eb.KIND),
}


@dataclass(frozen=True)
class Key:
    """Kind, namespace (empty if none is given) and name of one resource."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """The key as text, such as `EngineBuild prod/llama`."""
        namespace = f"{shorten(self.namespace, _SHOWN)}/" if self.namespace else ""
        name = shorten(self.name, _SHOWN) or "(without a name)"
        return f"{shorten(self.kind, _SHOWN)} {namespace}{name}"

    def matches(self, selector: str) -> bool:
        """True if `[KIND/][NAMESPACE/]NAME` selects it."""
        *before, name = selector.split("/")
        if name != self.name:
            return False
        if before and kind_of(before[0]) == self.kind and before[1:] in ([], [self.namespace]):
            return True
        return before in ([], [self.namespace])


def kind_of(word: str) -> str | None:
    """The kind that `qm`, `quantizedmodels.trtllm.dev` and the like stand for."""
    return _KINDS.get(word.partition(".")[0].lower())
