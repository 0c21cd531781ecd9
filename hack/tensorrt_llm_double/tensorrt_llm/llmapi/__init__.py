"""Programs of the other ranks of a double of trtllm-serve."""
