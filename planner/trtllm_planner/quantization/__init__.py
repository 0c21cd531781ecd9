"""Rules and plan of a quantization, before a GPU is used: pure functions that report all problems at once."""
