"""Errors that packs raise."""
