"""What ``lint`` knows besides the schema: rules over the policies and the manifests beside them. Pure functions."""
