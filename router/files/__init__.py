"""Uploaded files: their contents on disk, and the way in and out over HTTP."""
