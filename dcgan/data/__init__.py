"""Image data sets held in memory as uint8, and the DataModule that feeds them."""
