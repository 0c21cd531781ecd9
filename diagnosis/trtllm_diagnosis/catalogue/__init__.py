"""The catalogue: every failure that a log can name, in the order in which ties on one line are decided."""

from __future__ import annotations

from typing import Final

from trtllm_diagnosis.catalogue.build import BUILD
from trtllm_diagnosis.catalogue.convert import CONVERT
from trtllm_diagnosis.catalogue.download import DOWNLOAD
from trtllm_diagnosis.catalogue.general import GENERAL
from trtllm_diagnosis.catalogue.gpu import GPU
from trtllm_diagnosis.catalogue.hub import HUB
from trtllm_diagnosis.catalogue.kubernetes import KUBERNETES
from trtllm_diagnosis.catalogue.launch import LAUNCH
from trtllm_diagnosis.catalogue.load import LOAD
from trtllm_diagnosis.catalogue.node import NODE
from trtllm_diagnosis.catalogue.quantize import QUANTIZE
from trtllm_diagnosis.catalogue.request import REQUEST
from trtllm_diagnosis.catalogue.serve import SERVE
from trtllm_diagnosis.catalogue.transport import TRANSPORT
from trtllm_diagnosis.entry import Entry

CATALOGUE: Final[tuple[Entry, ...]] = (
    *NODE,
    *TRANSPORT,
    *DOWNLOAD,
    *HUB,
    *CONVERT,
    *QUANTIZE,
    *GPU,
    *BUILD,
    *LOAD,
    *SERVE,
    *REQUEST,
    *LAUNCH,
    *GENERAL,
    *KUBERNETES,
)
"""All entries; their identifiers are unique."""
