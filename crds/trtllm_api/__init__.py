"""The trtllm.dev API: custom resources, the Job contract, and what both sides compute alike.

Every other distribution imports it. It depends on pydantic alone and does no I/O.
"""

GROUP = "trtllm.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
