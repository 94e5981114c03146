"""The only imports of hardware libraries."""
