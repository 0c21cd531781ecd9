"""Build a TensorRT engine: convert the checkpoint, build one file per rank, publish. Each stage is a Job.

Convert and build run in NVIDIA's image: they may import only the standard library, pydantic and modules that do so too.
"""
