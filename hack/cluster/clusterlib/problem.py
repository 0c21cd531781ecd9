"""What the user of hack/cluster must mend, in one sentence."""


class Problem(Exception):
    """Ends the command; its text is the only thing printed."""
