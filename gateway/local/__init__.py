"""The local protocol over Unix sockets, and what every process needs of the operating system."""
