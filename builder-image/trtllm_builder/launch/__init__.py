"""Starts trtllm-serve in NVIDIA's image, on one node or several; `python -m trtllm_builder launch` calls main.main.

Imports the standard library, pydantic and trtllm_api only: NVIDIA's image has nothing else of ours.
"""
