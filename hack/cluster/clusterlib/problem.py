"""Error that the user of hack/cluster can fix."""


class Problem(Exception):
    """Ends the command. Only its text is printed."""
