"""Request-level checks, problem details, and the page's files."""
