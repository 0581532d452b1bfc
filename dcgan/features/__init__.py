"""Networks whose features are compared, and what makes them."""
