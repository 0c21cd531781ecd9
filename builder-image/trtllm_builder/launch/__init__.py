"""Starts trtllm-serve in NVIDIA's image, on one node or several: `python -m trtllm_builder launch`.

It imports the standard library, pydantic and trtllm_api only, because NVIDIA's image has no other dependency of ours.
"""
