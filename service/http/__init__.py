"""Request-level guards, problem details, the page's files."""
