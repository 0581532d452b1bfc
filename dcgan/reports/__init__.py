"""What is said of samples and of many runs: scores, decisions in words, tables and pages."""
