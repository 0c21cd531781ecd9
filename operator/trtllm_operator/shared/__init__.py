"""Parts that both kinds use alike."""
