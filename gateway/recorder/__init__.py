"""The process that keeps: the only writer of the database."""
