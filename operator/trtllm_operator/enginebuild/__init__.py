"""The EngineBuild controller's decisions: observe, state, plan, desired, status. Pure; driven by the engine."""
