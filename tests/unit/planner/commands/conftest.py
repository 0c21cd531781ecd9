import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[4]
for _directory in (Path(__file__).parent, _ROOT / "hack" / "tensorrt_llm_double"):
    sys.path.insert(0, str(_directory))
