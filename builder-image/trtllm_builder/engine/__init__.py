"""Build a TensorRT engine: convert, one engine per rank, publish; run.py calls a stage of it in each of its Jobs.

Convert and build run in NVIDIA's image: only the standard library, pydantic and what imports nothing else may be used.
"""
