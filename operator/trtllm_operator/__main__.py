"""`python -m trtllm_operator`: what the operator's container runs."""

import sys

from trtllm_operator.cli import main

sys.exit(main())
