"""Entry point of `python -m trtllm_cli`."""

from __future__ import annotations

import sys

from trtllm_cli.main import main

sys.exit(main())
