"""Many wishes from one file: read and priced as a whole, then made side by side, as fast as Google lets."""
