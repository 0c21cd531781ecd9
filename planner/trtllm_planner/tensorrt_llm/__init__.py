"""Facts about TensorRT-LLM: its versions, layouts, shards and architectures; planner and commands build on them."""
