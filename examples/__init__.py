"""Programs to learn the protocol from, each meant to be read. ``examples/README.md`` says how to run them."""
