"""Connectors: bridges between signalbox and the providers of channels. How to set them up: docs/connectors.md."""
