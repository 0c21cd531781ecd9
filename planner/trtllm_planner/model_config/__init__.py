"""Facts about a model from its config.json alone: layers, caches, towers and the format of its weights."""
