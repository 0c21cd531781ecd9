"""The double of this family's script; double_convert.py does the work."""

from __future__ import annotations

from double_convert import main

if __name__ == "__main__":
    main("llama")
