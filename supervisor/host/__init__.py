"""Where effects begin: one facility of the system a file."""
