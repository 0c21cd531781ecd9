"""Manifests of everything the operator creates, and what their state means; pure, used by both kinds' domain code."""
