"""Stand-ins for the world, on this machine alone: a mail server that keeps what it is sent, a name server, certificates."""
