"""What Windows lacks is absent here, as far as that can be shown on another system."""
