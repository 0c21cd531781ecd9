"""The catalogue: every failure that a log can name, in the order in which ties on one line are decided."""

from __future__ import annotations

from typing import Final

from trtllm_api.diagnosis.catalogue.build import BUILD
from trtllm_api.diagnosis.catalogue.convert import CONVERT
from trtllm_api.diagnosis.catalogue.download import DOWNLOAD
from trtllm_api.diagnosis.catalogue.general import GENERAL
from trtllm_api.diagnosis.catalogue.gpu import GPU
from trtllm_api.diagnosis.catalogue.hub import HUB
from trtllm_api.diagnosis.catalogue.kubernetes import KUBERNETES
from trtllm_api.diagnosis.catalogue.launch import LAUNCH
from trtllm_api.diagnosis.catalogue.load import LOAD
from trtllm_api.diagnosis.catalogue.quantize import QUANTIZE
from trtllm_api.diagnosis.catalogue.request import REQUEST
from trtllm_api.diagnosis.catalogue.serve import SERVE
from trtllm_api.diagnosis.entry import Entry

CATALOGUE: Final[tuple[Entry, ...]] = (
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
