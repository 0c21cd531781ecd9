"""The operator: watches QuantizedModels and EngineBuilds, and makes the cluster what they say."""

__version__ = "0.1.0"
