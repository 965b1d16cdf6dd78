"""Runs in their folders: start, resume, crash, resume again."""
