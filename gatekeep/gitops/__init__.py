"""Who else writes the fields that gatekeep writes, and how soon they would put them back."""
