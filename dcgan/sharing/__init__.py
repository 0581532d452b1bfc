"""What leaves the house: pictures, arrays and animations of a run."""
