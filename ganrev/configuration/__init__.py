"""Options: composed from YAML and overrides, and checked."""
