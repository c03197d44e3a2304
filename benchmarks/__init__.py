"""What the product costs where it costs time or memory, as ratios against a floor of the same run."""
