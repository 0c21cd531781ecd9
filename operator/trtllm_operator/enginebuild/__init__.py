"""The decisions about an EngineBuild: observe, determine_state, steps, status. Pure, but for controller.gather."""
