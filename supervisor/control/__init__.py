"""The faces of the daemon: HTTP on a port and on the Unix socket. They read views and post commands; none decides."""
