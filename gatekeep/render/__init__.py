"""One plan or event, many views. Pure functions from data to text."""
