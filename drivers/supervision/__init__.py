"""Watch of a live link: reconnection, frozen signal."""
