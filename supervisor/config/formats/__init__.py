"""The formats of a configuration, one loader each: from a file to a tree in the shape of the schema."""
