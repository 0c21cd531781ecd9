"""The decisions about a QuantizedModel: observe, determine_state, steps, status. Pure, but for controller.gather."""
