"""Public models of many families, by name."""

from __future__ import annotations

from field_dense import DENSE
from field_experts import EXPERTS
from field_hybrids import HYBRIDS
from published import Published

FIELD: dict[str, Published] = {**HYBRIDS, **EXPERTS, **DENSE}
