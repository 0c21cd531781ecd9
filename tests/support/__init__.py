"""Helpers that tests share; no test module is imported by another."""
