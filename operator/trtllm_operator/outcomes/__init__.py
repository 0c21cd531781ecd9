"""The meaning of the state of children: Jobs, pods, rollouts."""
