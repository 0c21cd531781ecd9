"""Programs of the double: build (trtllm-build) and serve (trtllm-serve)."""
