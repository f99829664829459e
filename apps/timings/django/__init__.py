"""For apps on Django: a database backend, by the name of this package."""
