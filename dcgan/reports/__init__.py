"""What is said of samples: scores, the tables and the page."""
