"""The reconcile loop: one cache, one queue, one way through for both kinds."""
