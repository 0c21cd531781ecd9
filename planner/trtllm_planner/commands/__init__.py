"""Command lines of TensorRT-LLM's programs: flags per version as data, arguments from a spec, checks of extra ones."""
