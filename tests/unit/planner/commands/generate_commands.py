"""`python tests/unit/planner/commands/generate_commands.py`: write golden/*.yaml anew, to be read in the diff.

The command lines and the file of options that each version of TensorRT-LLM gets for a few specs, and what is refused.
"""

from __future__ import annotations

from pathlib import Path

from command_golden import golden
from command_samples import SAMPLES

GOLDEN = Path(__file__).parent / "golden"


def main() -> None:
    """Write a file for each sample; files of samples that are gone go, too."""
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.yaml"):
        if old.stem not in SAMPLES:
            old.unlink()
    for name in SAMPLES:
        (GOLDEN / f"{name}.yaml").write_text(golden(name))


if __name__ == "__main__":
    main()
