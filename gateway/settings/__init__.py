"""YAML to frozen data: every error at once, with file, line, cause and cure."""
