"""Rules and plans for quantization and engines: pure functions that the operator and the command line share."""
