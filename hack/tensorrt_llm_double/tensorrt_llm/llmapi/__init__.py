"""What the ranks of a double of trtllm-serve run beside it."""
