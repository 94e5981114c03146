"""What the commands share: asking a process, tables, words for people."""
